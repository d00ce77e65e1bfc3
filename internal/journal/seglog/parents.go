package seglog

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// SyncParents puts the name of a folder on the disk, and the names of all folders above it, because this process, or one that was
// killed, may have made any of them. It skips folders that this user may not read, because those were not made by it.
func SyncParents(dir string) error {
	up := filepath.Dir(dir)
	if up == dir {
		return nil
	}
	if err := syncDir(up); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return SyncParents(up)
}
