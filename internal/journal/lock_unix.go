//go:build unix && !solaris && !illumos && !aix

package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A lock keeps other processes from a folder until it is released.
type lock struct{ file *os.File }

// takeLock takes a folder for a process that writes.
func takeLock(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return flock(f, syscall.LOCK_EX)
}

// shareLock takes a folder for a process that only reads. It needs no write permission. The returned lock is nil if no process has ever
// locked the folder, because then there is no lock file.
func shareLock(dir string) (*lock, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return flock(f, syscall.LOCK_SH)
}

func flock(f *os.File, how int) (*lock, error) {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &lock{f}, nil
}

func (l *lock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// ownerOf returns the owner of a file, or of the nearest folder above it that exists.
func ownerOf(name string) (uid uint32, ok bool) {
	info, err := os.Stat(name)
	if up := filepath.Dir(name); err != nil && up != name {
		return ownerOf(up)
	}
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
