package seglog

import (
	"errors"
	"fmt"
)

// Read returns the record at p. The error is ErrMoved, one that wraps ErrDamaged, or one of the disk.
func (l *Log) Read(p Pos) ([]byte, error) {
	f := l.fileOf(p)
	if f == nil {
		return nil, ErrMoved
	}
	content := make([]byte, p.size)
	if _, err := f.ReadAt(content, int64(p.offset)); err != nil {
		if l.fileOf(p) != f { // the file was closed meanwhile, because another one stands for it
			return nil, ErrMoved
		}
		return nil, fmt.Errorf("%s: byte %d: %w", p.segment.name(), p.offset, err)
	}
	body, size, ok := parseRecord(content)
	if !ok || size != len(content) {
		return nil, fmt.Errorf("%w: %s: bytes %d to %d", ErrDamaged, p.segment.name(), p.offset, p.offset+p.size)
	}
	return body, nil
}

// fileOf returns the file in which the record at p stands, or nil if it has moved. No lock is held while the file is read, so that a disk
// that does not answer holds up only the reader.
func (l *Log) fileOf(p Pos) file {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if p.segment == nil {
		return nil
	}
	return p.segment.file
}

// Free says that n bytes of the record at p are no longer needed. They leave the disk when the segment is rewritten. Free never waits.
func (l *Log) Free(p Pos, n int64) { p.segment.live.Add(-n) }

// Size returns the size of all segments on the disk, in bytes.
func (l *Log) Size() (total int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.order {
		total += s.size
	}
	return total
}

// Close closes the log. No other method may be running.
func (l *Log) Close() error {
	var err error
	for _, s := range l.order {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
	}
	if l.confirmed != nil {
		err = errors.Join(err, l.confirmed.Sync(), l.confirmed.Close())
	}
	return err
}
