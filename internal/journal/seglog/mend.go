package seglog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// mend makes the log again what it was before a commit that failed. The batch of that commit may be on the disk in part or as a whole,
// although its senders were told that it is not stored. So mend cuts it off and syncs the cut before another batch gets its number. After
// a failed write or sync nobody knows what the disk holds, so mend opens and reads the segment again. It does not touch other segments,
// because they may be rewritten at the same time.
func (l *Log) mend() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.torn
	if s.size == 0 {
		if last := len(l.order) - 1; last >= 0 && l.order[last] == s {
			s.file.Close()
			l.order = l.order[:last]
		}
		if err := os.Remove(filepath.Join(l.dir, s.name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(l.dir)
	}
	f, err := l.openFile(filepath.Join(l.dir, s.name()), os.O_RDWR)
	if err != nil {
		return err
	}
	s.file.Close()
	s.file = f
	if err := errors.Join(f.Truncate(s.size), f.Sync()); err != nil {
		return err
	}
	content := make([]byte, s.size)
	if _, err := f.ReadAt(content, 0); err != nil {
		return err
	}
	check := &scanner{last: s.first - 1, confirmed: l.batch, sizes: make(map[uint64]int), record: func(found, []byte) error { return nil }}
	if err := check.segment(s.segmentInfo, content, true); err != nil {
		return err
	}
	if check.last != s.end {
		check.damaged("%s: its end is missing", s.name())
	}
	if len(check.damage) > 0 {
		return describe(check.damage)
	}
	return nil
}

// writeAgain writes a part of a file again with the same bytes. After a failed sync, Linux still returns the bytes to readers but no
// longer tries to write them. If the process was killed then, the next one reads a batch that only memory has, and that no later sync
// would put on the disk.
func writeAgain(f file, from, to int64) error {
	content := make([]byte, to-from)
	if _, err := f.ReadAt(content, from); err != nil {
		return err
	}
	_, err := f.WriteAt(content, from)
	return err
}
