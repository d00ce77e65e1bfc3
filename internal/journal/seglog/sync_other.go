//go:build !linux

package seglog

import (
	"errors"
	"os"
	"runtime"
)

type dataFile struct{ *os.File }

// syncDir puts the names of the files in a folder on the disk. On Windows there is no call for this, and syncDir does nothing.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
