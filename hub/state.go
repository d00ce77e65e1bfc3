package hub

import (
	"cmp"
	"sort"
)

// A State is the position of a room and the messages that are still kept. [Memory] has one for
// each room, and a journal of your own may use it, too. A State has no lock, so its caller
// must guard it.
//
// A State uses neither a clock nor limits. A [Retention] decides which messages are dropped.
type State struct {
	Position
	kept  []*Message // oldest first
	bytes int        // the sum of the Size of all messages in kept
}

// Apply puts m, whose Seq and Prev are set, at the end of the room. A transient message
// changes nothing.
func (s *State) Apply(m *Message) {
	s.Position.apply(m)
	if m.Transient {
		return
	}
	s.kept = append(s.kept, m)
	s.bytes += m.Size()
}

// apply moves the position to m.
func (p *Position) apply(m *Message) {
	if !m.Transient {
		p.Head = m.Seq
	}
}

// Page answers a query.
func (s *State) Page(q PageQuery) Page {
	p := Page{Position: s.Position, Floor: s.Head}
	if len(s.kept) > 0 {
		p.First, p.Floor = s.kept[0].Seq, s.kept[0].Prev
	}
	from, to := q.Select(len(s.kept), s.Head, func(i int) (uint64, int) {
		return s.kept[i].Seq, len(s.kept[i].Payload)
	})
	p.Messages = append(p.Messages, s.kept[from:to]...)
	p.Known = q.After == p.Floor || q.isKept(len(s.kept), func(i int) uint64 { return s.kept[i].Seq })
	return p
}

// Len implements [Kept].
func (s *State) Len() int { return len(s.kept) }

// Bytes implements [Kept].
func (s *State) Bytes() int { return s.bytes }

// OldestAt implements [Kept].
func (s *State) OldestAt() int64 { return s.kept[0].At }

// DropOldest implements [Kept].
func (s *State) DropOldest() {
	s.bytes -= s.kept[0].Size()
	s.kept[0] = nil // otherwise the array would keep the message in memory until append copies the rest
	s.kept = s.kept[1:]
}

// isKept tells whether After is the Seq of one of the n messages that a room keeps.
func (q PageQuery) isKept(n int, seq func(i int) uint64) bool {
	i := sort.Search(n, func(i int) bool { return seq(i) >= q.After })
	return i < n && seq(i) == q.After
}

// Select chooses the messages of a page from the n messages that a room keeps, oldest first.
// The function at returns the Seq of message i and the length of its payload. head is the
// room's newest Seq. The page has the messages with an index i for which from <= i < to.
func (q PageQuery) Select(n int, head uint64, at func(i int) (seq uint64, payload int)) (from, to int) {
	first := func(seq uint64) int { // the first message whose Seq is seq or higher
		return sort.Search(n, func(i int) bool { s, _ := at(i); return s >= seq })
	}
	if q.After >= head {
		return 0, 0
	}
	from, to = first(q.After+1), first(cmp.Or(q.Before, head+1))
	if from >= to {
		return 0, 0
	}
	count, bytes := 0, 0
	for ; count < to-from && count < q.Limit; count++ {
		next := from + count
		if q.Newest {
			next = to - 1 - count
		}
		_, payload := at(next)
		if bytes += payload; count > 0 && q.Bytes > 0 && bytes > q.Bytes {
			break
		}
	}
	if q.Newest {
		return to - count, to
	}
	return from, from + count
}
