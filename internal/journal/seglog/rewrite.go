package seglog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// A Keeper says which records of a segment are still needed.
type Keeper interface {
	// Keep returns the body that replaces the record at p: body itself, a shorter one, or nil if the record is not needed.
	Keep(p Pos, body []byte) []byte
	// Moved says that the body that Keep returned for old is now at p. If the record is not needed any more, the Keeper calls Free for p.
	Moved(old, p Pos, body []byte)
}

// Rewrite looks for a segment of which less than a quarter is still needed. It writes the needed records of this segment, and of its
// neighbours that are mostly not needed either, into one new file. It tells whether it found such a segment. Commit does not wait for
// Rewrite, because it appends to another segment meanwhile. The store can be opened after a crash or an error in any of these steps:
//
//  1. The new file is written under a temporary name and synced. If a crash leaves it, the next start removes it.
//  2. The new file takes the name of the oldest of the old files, and from then on replaces all of them.
//  3. The Keeper is told the new places.
//  4. The folder is synced, and the other old files are removed. If a crash or an error leaves some, the next start removes them.
func (l *Log) Rewrite(k Keeper) (bool, error) {
	run := l.mostlyDead()
	if run == nil {
		return false, nil
	}
	return true, l.replace(run, k)
}

// mostlyDead returns neighbouring segments that should be rewritten together, or nil. The active segment is not among them.
func (l *Log) mostlyDead() []*segment {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var run []*segment
	isWorthIt, live := false, int64(0)
	for _, s := range l.order[:max(0, len(l.order)-1)] {
		content := s.size - segmentHeaderSize
		isDead := s.live.Load()*4 < content
		if (isDead || content == 0) && live+s.live.Load() <= l.segmentBytes && !s.stuck {
			run = append(run, s)
			isWorthIt = isWorthIt || isDead
			live += s.live.Load()
			continue
		}
		if isWorthIt {
			break
		}
		run, live = nil, 0
	}
	if !isWorthIt {
		return nil
	}
	return run
}

// replace writes the needed records of a run of neighbouring segments into one new segment, which replaces all of them.
func (l *Log) replace(run []*segment, k Keeper) error {
	info := segmentInfo{first: run[0].first, last: run[len(run)-1].end}
	content, moves, err := l.collect(run, info, k)
	if errors.Is(err, ErrDamaged) { // other segments can still be rewritten; the next start reports the damage again
		l.mu.Lock()
		for _, s := range run {
			s.stuck = true
		}
		l.mu.Unlock()
	}
	if err != nil {
		return err
	}
	fresh := &segment{segmentInfo: info, end: info.last, size: int64(len(content))}
	if fresh.file, err = l.writeSegment(info.name(), content); err != nil {
		return err
	}
	l.mu.Lock()
	at := slices.Index(l.order, run[0])
	l.order = slices.Replace(l.order, at, at+len(run), fresh)
	for i := range moves {
		moves[i].to.segment = fresh
		fresh.live.Add(moves[i].to.Bytes())
	}
	l.mu.Unlock()
	for _, m := range moves {
		k.Moved(m.from, m.to, content[m.to.offset+4:m.to.offset+m.to.size-4])
	}
	return l.drop(run)
}

// drop closes the segments of a run and removes their files, except the first one, whose name is that of the new file.
func (l *Log) drop(run []*segment) (err error) {
	l.mu.Lock()
	for _, s := range run {
		err = errors.Join(err, s.file.Close())
		s.file = nil
	}
	l.mu.Unlock()
	if err = errors.Join(err, syncDir(l.dir)); err != nil {
		return err
	}
	for _, s := range run[1:] {
		err = errors.Join(err, os.Remove(filepath.Join(l.dir, s.name())))
	}
	return err
}

// A move is the old and the new place of a record.
type move struct{ from, to Pos }

// collect makes the content of a new segment from the needed records of a run. Batches keep their numbers.
func (l *Log) collect(run []*segment, info segmentInfo, k Keeper) (content []byte, moves []move, err error) {
	content = appendSegmentHeader(nil, info)
	var batch uint64
	var kept [][]byte
	var from []Pos
	flush := func() {
		if len(kept) == 0 {
			return
		}
		offset := len(content) + batchHeaderSize
		var sizes []int
		content, sizes = appendBatch(content, batch, kept)
		for i, size := range sizes {
			moves = append(moves, move{from[i], Pos{offset: uint32(offset), size: uint32(size)}})
			offset += size
		}
		kept, from = kept[:0], from[:0]
	}
	for _, seg := range run {
		old := make([]byte, seg.size)
		if _, err := seg.file.ReadAt(old, 0); err != nil {
			return nil, nil, err
		}
		s := &scanner{last: seg.first - 1, sizes: make(map[uint64]int)}
		s.record = func(f found, body []byte) error {
			if f.batch != batch {
				flush()
				batch = f.batch
			}
			p := Pos{seg, uint32(f.offset), uint32(f.size)}
			if body = k.Keep(p, body); body != nil {
				kept, from = append(kept, body), append(from, p)
			}
			return nil
		}
		if err := s.segment(segmentInfo{first: seg.first}, old, false); err != nil {
			return nil, nil, err
		}
		if len(s.damage) > 0 {
			return nil, nil, describe(s.damage)
		}
		flush()
	}
	info.bytes = uint32(len(content))
	copy(content, appendSegmentHeader(nil, info))
	return content, moves, nil
}

// writeSegment writes and syncs a whole segment, gives it its name, and opens it. It does not sync the folder, so after a power cut the
// name may still be the old one.
func (l *Log) writeSegment(name string, content []byte) (_ file, err error) {
	path := filepath.Join(l.dir, name)
	f, err := l.openFile(path+temporarySuffix, os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(path+temporarySuffix, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path+temporarySuffix))
	}
	return f, nil
}
