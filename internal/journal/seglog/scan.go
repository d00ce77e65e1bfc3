package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

const (
	confirmedName   = "confirmed"
	temporarySuffix = ".tmp"
)

// A found is the place of a record.
type found struct {
	segment      segmentInfo
	batch        uint64
	offset, size int
}

// A scanner reads every segment of a folder, oldest first, and finds what is damaged. It changes nothing.
type scanner struct {
	dir    string
	record func(found, []byte) error // is called with each record that can be read

	confirmed uint64         // the number of the last batch that is known to be acknowledged
	last      uint64         // the number of the last batch that was read
	lastAt    int            // where that batch begins in its segment; 0 for the first batch, to include the segment's header
	sizes     map[uint64]int // by the number of a segment's first batch: the bytes up to the end of the segment's last whole batch
	order     []segmentInfo  // the segments, oldest first
	leftovers []string       // files that a crash has left and that are not needed
	damage    []error
	most      uint64 // the largest number that a batch of the segment can have: a text may look like a header with any number
}

// Scan calls f with every record in dir that can be read, oldest first, and returns an error for each damaged place. It changes nothing,
// so it works on a full or read-only disk. body is valid only during the call of f. An error of f ends the scan.
func Scan(dir string, f func(body []byte) error) (damage []error, err error) {
	s := &scanner{dir: dir, record: func(_ found, body []byte) error { return f(body) }}
	err = s.run()
	return s.damage, err
}

func (s *scanner) run() error {
	entries, err := os.ReadDir(s.dir) // sorted by name, and so by batch
	if err != nil {
		return err
	}
	confirmed, err := os.ReadFile(filepath.Join(s.dir, confirmedName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.confirmed = parseConfirmed(confirmed)
	s.sizes = make(map[uint64]int)
	var segments []segmentInfo
	for _, e := range entries {
		if info, ok := parseSegmentName(e.Name()); ok {
			segments = append(segments, info)
		} else if base, ok := strings.CutSuffix(e.Name(), temporarySuffix); ok {
			if _, ok := parseSegmentName(base); ok {
				s.leftovers = append(s.leftovers, e.Name())
			}
		}
	}
	for i, info := range segments {
		if info.first <= s.last { // an earlier segment was rewritten and has replaced this one
			s.leftovers = append(s.leftovers, info.name())
			continue
		}
		content, err := os.ReadFile(filepath.Join(s.dir, info.name()))
		if err != nil {
			return err
		}
		if s.most = math.MaxUint64; i < len(segments)-1 {
			s.most = segments[i+1].first - 1
		}
		if err := s.segment(info, content, i == len(segments)-1); err != nil {
			return err
		}
	}
	if s.last < s.confirmed {
		s.damaged("batches %d to %d are missing at the end", s.last+1, s.confirmed)
	}
	return nil
}

// segment reads one segment. If the newest segment ends with a part of a batch that was never acknowledged, that is not damage, because a
// power cut or a kill can interrupt a write.
func (s *scanner) segment(info segmentInfo, content []byte, isNewest bool) error {
	isWhole := info.parseHeader(content)
	maybeTorn := isNewest && info.last == 0
	if !isWhole && maybeTorn && info.first > s.confirmed && s.resume(content, 0) < 0 {
		s.leftovers = append(s.leftovers, info.name()) // a crash came before the segment's first batch was on the disk
		return nil
	}
	if info.first != s.last+1 {
		s.damaged("batches %d to %d are missing before %s", s.last+1, info.first-1, info.name())
	}
	if !isWhole {
		s.damaged("%s: its header", info.name())
	}
	switch {
	case info.last > 0:
		s.most = info.last
	case isWhole:
		s.most = info.first + uint64(len(content)/batchHeaderSize)
	}
	s.order = append(s.order, info)
	s.last, s.lastAt = info.first-1, 0
	if err := s.batches(info, content, maybeTorn); err != nil {
		return err
	}
	if info.last > 0 {
		s.last = info.last
		if len(content) != int(info.bytes) {
			s.damaged("%s: it has %d bytes, not %d", info.name(), len(content), info.bytes)
		}
	}
	return nil
}

// batches reads the batches of a segment, and goes on after bytes that are none. If the segment may end with a part of a batch, batches stops
// there.
func (s *scanner) batches(info segmentInfo, content []byte, maybeTorn bool) error {
	at := min(segmentHeaderSize, len(content))
	s.sizes[info.first] = at
	for at < len(content) {
		h, ok := parseBatchHeader(content[at:])
		ok = ok && s.isNext(info, h.number)
		end := min(at+batchHeaderSize+h.bytes, len(content))
		records, whole := []found(nil), false
		if ok {
			records, whole = splitBatch(info, content[:end], at, h)
		} else if end = s.resume(content, at+1); end < 0 {
			end = len(content)
		}
		if !whole && maybeTorn && s.last+1 > s.confirmed && s.resume(content, end) < 0 {
			return nil
		}
		if !whole {
			s.damaged("%s: bytes %d to %d", info.name(), at, end)
		}
		for _, rec := range records {
			if err := s.record(rec, content[rec.offset+4:rec.offset+rec.size-4]); err != nil {
				return err
			}
		}
		if ok && at > segmentHeaderSize {
			s.lastAt = at
		}
		if at = end; ok {
			s.last = h.number
		} else if next, more := parseBatchHeader(content[at:]); more {
			s.last = next.number - 1
		}
		s.sizes[info.first] = at
	}
	return nil
}

// isNext tells whether the batch with a number may come after the last one. In a segment that was rewritten, the numbers of batches
// without needed records are missing.
func (s *scanner) isNext(info segmentInfo, number uint64) bool {
	if info.last > 0 {
		return number > s.last && number <= info.last
	}
	return number == s.last+1
}

// resume returns where the next valid header of a later batch is, at or after from, or -1 if there is none.
func (s *scanner) resume(content []byte, from int) int {
	for from < len(content) {
		i := bytes.Index(content[from:], []byte(batchMagic))
		if i < 0 {
			return -1
		}
		from += i
		if h, ok := parseBatchHeader(content[from:]); ok && h.number > s.last && h.number <= s.most {
			return from
		}
		from++
	}
	return -1
}

// splitBatch returns the undamaged records of the batch that begins at a place, and tells whether the whole batch is undamaged.
func splitBatch(info segmentInfo, content []byte, at int, h batchHeader) (records []found, whole bool) {
	whole = at+batchHeaderSize+h.bytes == len(content)
	at += batchHeaderSize
	for range h.records {
		_, size, ok := parseRecord(content[min(at, len(content)):])
		if size == 0 {
			return records, false
		}
		if ok {
			records = append(records, found{info, h.number, at, size})
		}
		whole = whole && ok
		at += size
	}
	return records, whole && at == len(content)
}

func (s *scanner) damaged(format string, args ...any) {
	s.damage = append(s.damage, fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...))
}
