package hub

import "time"

// How long an id is remembered at least, and how many are remembered at least. Both
// outlive the message: a retry must be recognised even when what it repeats is no
// longer kept.
const (
	recentAge = 10 * time.Minute
	recentIDs = 100_000
)

// recent remembers the ids of a room's published messages, so that a retry is answered
// and not stored twice. It belongs to the hub goroutine.
type recent struct {
	seen  map[ID]stored
	order []ID // the keys of seen, oldest first
}

// stored is what a retry is answered with.
type stored struct {
	seq, prev uint64
	at        int64 // Unix milliseconds
}

func (s *recent) find(id ID) (stored, bool) {
	was, ok := s.seen[id]
	return was, ok
}

// add remembers m as it was stored, and forgets those that are both old and many. Of
// one id the first message counts.
func (s *recent) add(m *Message, now time.Time) stored {
	if was, ok := s.seen[m.ID]; ok {
		return was
	}
	if s.seen == nil {
		s.seen = make(map[ID]stored)
	}
	was := stored{seq: m.Seq, prev: m.Prev, at: m.At}
	s.seen[m.ID] = was
	s.order = append(s.order, m.ID)
	tooOld := now.Add(-recentAge).UnixMilli()
	for len(s.order) > recentIDs && s.seen[s.order[0]].at < tooOld {
		delete(s.seen, s.order[0])
		s.order = s.order[1:]
	}
	return was
}
