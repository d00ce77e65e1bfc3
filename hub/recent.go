package hub

import "time"

// How long an id is remembered at least, and how many of a room are remembered at
// least. Both outlive the message: a retry must be recognised even when what it repeats
// is no longer kept. A journal that outlives the process remembers as much.
const (
	RecentAge = 10 * time.Minute
	RecentIDs = 100_000
)

// Stored is what a retry of an idempotent message is answered with.
type Stored struct {
	ID        ID
	Seq, Prev uint64
	At        int64 // Unix milliseconds
}

// recent remembers the ids of a room's published messages, so that a retry is answered
// and not stored twice. It belongs to the hub goroutine.
type recent struct {
	seen  map[ID]Stored
	order []ID // the keys of seen, oldest first
}

func (s *recent) find(id ID) (Stored, bool) {
	was, ok := s.seen[id]
	return was, ok
}

// add remembers what was stored, and forgets those that are both old and many. Of one id
// the first message counts, which it returns.
func (s *recent) add(is Stored, now time.Time) Stored {
	if was, ok := s.seen[is.ID]; ok {
		return was
	}
	if s.seen == nil {
		s.seen = make(map[ID]Stored)
	}
	s.seen[is.ID] = is
	s.order = append(s.order, is.ID)
	tooOld := now.Add(-RecentAge).UnixMilli()
	for len(s.order) > RecentIDs && s.seen[s.order[0]].At < tooOld {
		delete(s.seen, s.order[0])
		s.order = s.order[1:]
	}
	return is
}
