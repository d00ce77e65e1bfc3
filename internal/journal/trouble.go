package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// explain says what is wrong with the folder and what an operator can do about it.
func (e *embedded) explain(err error) error {
	if err == nil {
		return nil
	}
	say := func(format string, args ...any) error {
		return &trouble{fmt.Sprintf("the history in %s: ", e.dir) + fmt.Sprintf(format, args...), err}
	}
	if _, already := errors.AsType[*trouble](err); already {
		return err
	}
	is := func(errno syscall.Errno) bool {
		// The server hands over text.
		return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
	}
	switch {
	case errors.Is(err, errLocked):
		return say("another doyasa is using it; stop that one first, or use another folder")
	case is(syscall.ENOSPC), is(syscall.EDQUOT):
		return say("the disk is full; make space there, then restart doyasa")
	case is(syscall.EROFS):
		return say("its file system is read-only; mount it writable, then restart doyasa")
	case is(syscall.EACCES), is(syscall.EPERM), errors.Is(err, fs.ErrPermission), strings.Contains(err.Error(), "is not writable"):
		return say("user %d may not use it, it belongs to %s; chown -R %d %s, or run doyasa as its owner", os.Getuid(), owner(e.dir, err), os.Getuid(), e.dir)
	case is(syscall.ENOTDIR), is(syscall.EEXIST):
		return say("it is not a folder; name another one")
	case errors.Is(err, errStoreDamaged), errors.Is(err, errDamaged):
		return say("%v; restore it from a backup, or save what can be read with `doyasa export --salvage`, move the folder away and `doyasa import` that", err)
	}
	return say("%v; look at the disk, then restart doyasa", err)
}

// trouble is an error in words for an operator.
type trouble struct {
	text  string
	cause error
}

func (t *trouble) Error() string { return t.text }
func (t *trouble) Unwrap() error { return t.cause }

// owner names who owns the file that an error is about, or the folder.
func owner(dir string, err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		if uid, ok := ownerOf(pathErr.Path); ok {
			return fmt.Sprintf("user %d (%s)", uid, pathErr.Path)
		}
	}
	if uid, ok := ownerOf(dir); ok {
		return fmt.Sprintf("user %d", uid)
	}
	return "somebody else"
}

// A serverLog hears what the embedded server would log, which is the only way to learn
// of some failures.
type serverLog struct {
	faults chan error // capacity 1: the latest error; the server sends, the writer takes, never closed
}

func newServerLog() *serverLog { return &serverLog{faults: make(chan error, 1)} }

// fault returns an error that has come, or nil.
func (l *serverLog) fault() error {
	select {
	case err := <-l.faults:
		return err
	default:
		return nil
	}
}

func (l *serverLog) keep(format string, args ...any) {
	select {
	case l.faults <- fmt.Errorf(format, args...):
	default: // the first one tells more
	}
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

// Warnf: a folder that has lost its permissions is only a warning to the server.
func (l *serverLog) Warnf(format string, args ...any) {
	if strings.Contains(format, "permission denied") {
		l.keep(format, args...)
	}
}

func (l *serverLog) Errorf(format string, args ...any) { l.keep(format, args...) }
func (l *serverLog) Fatalf(format string, args ...any) { l.keep(format, args...) }
