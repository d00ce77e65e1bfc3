package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

const (
	lockName = "doyasa.lock"
	oldStore = "jetstream" // the folder in which versions before the first release kept the history, in an embedded message server
)

var (
	errLocked = errors.New("another doyasa is using it")
	errOld    = errors.New("an older doyasa has written it")
)

// Open opens the store in o.Dir, or makes one there. It reads the whole store, and fails if any part is damaged. The error names the
// folder and says what an operator can do.
func Open(o Options) (*Journal, error) {
	j := newJournal(o)
	if err := j.open(); err != nil {
		return nil, errors.Join(explain(o.Dir, err), j.close())
	}
	j.start()
	return j, nil
}

func newJournal(o Options) *Journal {
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	j := &Journal{
		opts:      o,
		work:      make(chan struct{}, 1),
		dead:      make(chan struct{}, 1),
		stop:      make(chan struct{}),
		rooms:     make(map[string]*room),
		retention: hub.NewRetention(o.Limits),
		due:       make(map[*room]struct{}),
	}
	j.more = sync.NewCond(&j.mu)
	return j
}

// open locks the folder and reads the store in it.
func (j *Journal) open() error {
	if err := os.MkdirAll(j.opts.Dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(j.opts.Dir, oldStore)); err == nil {
		return errOld
	}
	var err error
	if j.lock, err = takeLock(j.opts.Dir); err != nil {
		return err
	}
	s := newScan(j)
	j.log = seglog.New(j.opts.Dir, j.opts.SegmentBytes)
	if err := j.log.Load(s.record); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if j.epoch == "" {
		if err := seglog.SyncParents(j.opts.Dir); err != nil {
			return err
		}
		return j.commit([]record{{kind: kindBase, seq: j.nextSeq(time.Now()), epoch: j.opts.NewEpoch()}})
	}
	now := time.Now()
	for _, r := range j.rooms {
		j.retention.Enforce(r.share, now)
	}
	return nil
}

// close closes what open has opened.
func (j *Journal) close() error {
	var err error
	if j.log != nil {
		err = j.log.Close()
	}
	if j.lock != nil {
		err = errors.Join(err, j.lock.release())
	}
	return err
}

// A scan applies the records of a store and finds out whether messages are missing among them.
type scan struct {
	journal *Journal
	holes   map[*room][]hole
}

// A hole is a message whose prev is not the message that was read before it. It is legal if a trim removed everything up to prev. Such a
// trim comes later in the log, so holes are checked after the scan.
type hole struct{ prev, seq uint64 }

func newScan(j *Journal) *scan { return &scan{journal: j, holes: make(map[*room][]hole)} }

func (s *scan) record(p seglog.Pos, body []byte) error {
	rec, err := parseRecord(body)
	if err != nil {
		return err
	}
	if rec.kind == kindMessage {
		r := s.journal.room(rec.room)
		if rec.message.Prev != r.head {
			s.holes[r] = append(s.holes[r], hole{rec.message.Prev, rec.seq})
		}
	}
	s.journal.apply(rec, p)
	return nil
}

// end returns an error if there is a hole that no trim explains.
func (s *scan) end() error {
	for r, holes := range s.holes {
		for _, h := range holes {
			if h.prev > r.floor {
				return fmt.Errorf("%w: messages before message %d of room %s are missing", seglog.ErrDamaged, h.seq, r.name)
			}
		}
	}
	return nil
}

// explain returns an error that says what is wrong with the folder and what an operator can do about it.
func explain(dir string, err error) error {
	say := func(format string, args ...any) error {
		return &trouble{fmt.Sprintf("the history in %s: ", dir) + fmt.Sprintf(format, args...), err}
	}
	switch {
	case errors.Is(err, errLocked):
		return say("another doyasa is using it; stop that one first, or use another folder")
	case errors.Is(err, errOld):
		return say("it was written by a version before the first release, which this one cannot read; move the folder away")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return say("the disk is full; messages are stored again as soon as there is space")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return say("no file can be opened, because too many are; messages are stored again as soon as that works")
	case errors.Is(err, syscall.EROFS):
		return say("its file system is read-only; mount it writable")
	case errors.Is(err, fs.ErrPermission):
		return say("user %d may not use it, because it belongs to %s; chown -R %d %s, or run doyasa as its owner", os.Getuid(), owner(dir, err), os.Getuid(), dir)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EEXIST):
		return say("it is not a folder; name another one")
	case errors.Is(err, seglog.ErrDamaged), errors.Is(err, errRecord):
		return say("%v; restore it from a backup, or save what can be read with `doyasa export --salvage`, move the folder away and `doyasa import` that", err)
	}
	return say("%v; look at the disk", err)
}

// trouble is an error whose text is written for an operator.
type trouble struct {
	text  string
	cause error
}

func (t *trouble) Error() string { return t.text }
func (t *trouble) Unwrap() error { return t.cause }

// owner names the owner of the file that an error is about, or of the folder.
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
