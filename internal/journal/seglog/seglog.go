// Package seglog keeps records in a folder, in the order in which they were committed. When Commit has returned, its batch of records is
// on the disk. After a power cut during Commit, the store has either the whole batch or no part of it.
//
//	folder
//	├── 0000000000000001.seg   batches 1 to 812; it was rewritten, so some batches are missing
//	├── 000000000000032d.seg   batches 813 to 1604
//	├── 0000000000000645.seg   the active segment: Commit appends to it with one write and one fdatasync
//	└── confirmed              the number of the last batch that Commit has acknowledged
//
// A segment is rewritten when less than a quarter of it is still needed (rewrite.go), so that dropped records leave the disk. format.go
// describes the bytes. mend.go repairs the log after a commit that failed. scan.go finds damage, and tells it from a batch that a power
// cut has interrupted: such a batch was never acknowledged, so its number is larger than the one in the file confirmed. That file is
// written after each batch, but not synced. So it is right after a kill, and after a power cut it may be old, but never ahead of the log.
//
// This package must not know what a record means. Its caller says which records are needed ("alive").
package seglog

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Errors for which a caller may check with errors.Is.
var (
	// ErrDamaged means that bytes on the disk are not the bytes that were written.
	ErrDamaged = errors.New("the store is damaged")
	// ErrMoved means that the record was moved or dropped after its Pos was returned. The Keeper has been told the new Pos.
	ErrMoved = errors.New("the record has moved")
)

// segmentBytes is the default size at which a segment is full and gets no further batch.
const segmentBytes = 8 << 20

// A Pos is the place of a record. It is valid until the record's segment is rewritten.
type Pos struct {
	segment      *segment
	offset, size uint32
}

// Bytes returns the size of the record on the disk.
func (p Pos) Bytes() int64 { return int64(p.size) }

// A Log is an open store. Only one goroutine at a time may call Commit, and only one may call Rewrite, but both may run at the same time.
// Any goroutine may call the other methods.
type Log struct {
	// Immutable.
	dir          string
	segmentBytes int64
	openFile     func(name string, flag int) (file, error) // tests make it fail
	confirmed    file

	// Owned by Commit.
	batch uint64   // the number of the last batch
	torn  *segment // the segment of a commit that has failed, until mend has repaired it; otherwise nil

	mu    sync.RWMutex
	order []*segment // guarded by mu: oldest first; the last one is the active one
}

// A segment is one file. Its fields are guarded by Log.mu; only Commit writes those of the active segment.
type segment struct {
	segmentInfo
	file  file         // nil after another segment has replaced this one
	end   uint64       // the number of the last batch in it
	size  int64        // bytes up to the end of the last whole batch
	live  atomic.Int64 // bytes of records that are needed; any goroutine
	stuck bool         // it is damaged, so it cannot be rewritten
}

// file has the methods of os.File that a Log uses.
type file interface {
	ReadAt(p []byte, offset int64) (int, error)
	WriteAt(p []byte, offset int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

func openFile(name string, flag int) (file, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return dataFile{f}, nil
}

// New returns the Log of a folder, which must exist. No other process may use the folder. A segment of at least segment bytes gets no
// further batch; 0: 8 MiB. Call Load before any other method, and Close at the end, even if Load has failed.
func New(dir string, segment int64) *Log {
	return &Log{dir: dir, segmentBytes: cmp.Or(segment, segmentBytes), openFile: openFile}
}

// Load reads the store, or makes one, and calls record with each record, oldest first. body is valid only during that call. record may
// call Free. Load cuts off an incomplete batch that was never acknowledged. The error wraps ErrDamaged if the store is damaged.
func (l *Log) Load(record func(p Pos, body []byte) error) (err error) {
	var current *segment
	s := &scanner{dir: l.dir}
	s.record = func(f found, body []byte) error {
		if current == nil || current.first != f.segment.first {
			current = &segment{segmentInfo: f.segment}
			l.order = append(l.order, current)
		}
		current.live.Add(int64(f.size))
		return record(Pos{current, uint32(f.offset), uint32(f.size)}, body)
	}
	if err := s.run(); err != nil {
		return err
	}
	if len(s.damage) > 0 {
		return describe(s.damage)
	}
	if err := l.openSegments(s); err != nil {
		return err
	}
	// A process that was killed may have renamed or made a segment without a sync. Sync the names now, because from here on the log
	// relies on them.
	if err := syncDir(l.dir); err != nil {
		return err
	}
	for _, name := range s.leftovers {
		if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
			return err
		}
	}
	l.batch = s.last
	if l.confirmed, err = l.openFile(filepath.Join(l.dir, confirmedName), os.O_CREATE|os.O_RDWR); err != nil {
		return err
	}
	l.confirm()
	return nil
}

// describe makes one error of the errors of all damaged places.
func describe(damage []error) error {
	if len(damage) == 1 {
		return damage[0]
	}
	return fmt.Errorf("%w, and %d more places", damage[0], len(damage)-1)
}

// openSegments opens the files that a scan has read, including files without a record, and cuts off an incomplete batch.
func (l *Log) openSegments(s *scanner) error {
	withRecords := l.order
	l.order = nil
	for i, info := range s.order {
		seg := &segment{segmentInfo: info}
		if len(withRecords) > 0 && withRecords[0].first == info.first {
			seg, withRecords = withRecords[0], withRecords[1:]
		}
		f, err := l.openFile(filepath.Join(l.dir, info.name()), os.O_RDWR)
		if err != nil {
			return err
		}
		l.order = append(l.order, seg)
		seg.file, seg.size, seg.end = f, int64(s.sizes[info.first]), s.last
		if i < len(s.order)-1 {
			seg.end = s.order[i+1].first - 1
			continue
		}
		if info.last > 0 {
			continue
		}
		if err := f.Truncate(seg.size); err != nil {
			return err
		}
		if s.last > s.confirmed {
			if err := writeAgain(f, int64(s.lastAt), seg.size); err != nil {
				return err
			}
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// Commit stores records as one batch. It returns their places when all of them are on the disk. If it returns an error, which is the one
// of the system call that failed, none of the records counts as stored. The next Commit repairs the log first.
func (l *Log) Commit(bodies [][]byte) ([]Pos, error) {
	if len(bodies) == 0 {
		return nil, nil
	}
	if l.torn != nil {
		if err := l.mend(); err != nil {
			return nil, fmt.Errorf("after a write that failed: %w", err)
		}
		l.torn = nil
	}
	s, err := l.active()
	if err != nil {
		return nil, err
	}
	l.torn = s
	isNew := s.size == 0
	var content []byte
	if isNew {
		content = appendSegmentHeader(nil, s.segmentInfo)
	}
	offset := s.size + int64(len(content)) + batchHeaderSize
	content, sizes := appendBatch(content, l.batch+1, bodies)
	if _, err := s.file.WriteAt(content, s.size); err != nil {
		return nil, err
	}
	if err := s.file.Sync(); err != nil {
		return nil, err
	}
	if isNew {
		if err := syncDir(l.dir); err != nil {
			return nil, err
		}
	}
	l.torn = nil
	l.batch++
	positions := make([]Pos, len(bodies))
	for i, size := range sizes {
		positions[i] = Pos{s, uint32(offset), uint32(size)}
		offset += int64(size)
		s.live.Add(int64(size))
	}
	l.mu.Lock()
	s.size, s.end = offset, l.batch
	l.mu.Unlock()
	l.confirm()
	return positions, nil
}

// active returns the segment to append to. If it makes a new segment, that has no bytes yet, not even the header.
func (l *Log) active() (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.order); n > 0 && l.order[n-1].size < l.segmentBytes && l.order[n-1].last == 0 {
		return l.order[n-1], nil
	}
	s := &segment{segmentInfo: segmentInfo{first: l.batch + 1}, end: l.batch}
	f, err := l.openFile(filepath.Join(l.dir, s.name()), os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	s.file = f
	l.order = append(l.order, s)
	return s, nil
}

// confirm writes that the last batch is acknowledged. Its error is ignored: then only a later scan may take a damaged last batch for an
// incomplete one.
func (l *Log) confirm() { l.confirmed.WriteAt(appendConfirmed(nil, l.batch), 0) }
