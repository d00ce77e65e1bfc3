package hub

import (
	"container/heap"
	"time"
)

// Limits bound the history that is kept. For each, 0 means no limit.
type Limits struct {
	Messages   int           // per room
	Bytes      int           // per room; see Message.Size
	TotalBytes int           // of all rooms together; the room that keeps most loses messages first
	MaxAge     time.Duration // older messages are no longer shown
}

// Kept is the messages that one room keeps. A [Retention] counts and drops them through this
// interface, which [State] implements.
type Kept interface {
	Len() int        // how many messages the room keeps
	Bytes() int      // the sum of their Size
	OldestAt() int64 // Message.At of the oldest message; called only if Len is not 0
	DropOldest()
}

// A Retention drops messages until the rooms of one journal are within Limits. It has no
// lock, so its caller must guard it.
type Retention struct {
	limits Limits
	total  int     // the bytes of all rooms, each as of its last Count
	rooms  largest // all rooms
}

// A Share is one room's part in a Retention.
type Share struct {
	kept  Kept
	bytes int // how much this room adds to Retention.total
	place int // the index in Retention.rooms
}

// NewRetention returns a Retention without rooms.
func NewRetention(l Limits) *Retention { return &Retention{limits: l} }

// Total returns the bytes that all rooms keep.
func (t *Retention) Total() int { return t.total }

// Add begins to count a room.
func (t *Retention) Add(k Kept) *Share {
	s := &Share{kept: k}
	heap.Push(&t.rooms, s)
	t.Count(s)
	return s
}

// Remove no longer counts a room.
func (t *Retention) Remove(s *Share) {
	t.total -= s.bytes
	heap.Remove(&t.rooms, s.place)
}

// Count must be called after a room has begun to keep more or less. It updates the total.
func (t *Retention) Count(s *Share) {
	bytes := s.kept.Bytes()
	if bytes == s.bytes {
		return
	}
	t.total += bytes - s.bytes
	s.bytes = bytes
	heap.Fix(&t.rooms, s.place)
}

// Enforce counts a room and drops the messages of the room that are over a limit at the time
// now. While all rooms together are over TotalBytes, it then drops the oldest message of the
// largest room.
func (t *Retention) Enforce(s *Share, now time.Time) {
	over := func(n, limit int) bool { return limit > 0 && n > limit }
	k, l := s.kept, &t.limits
	for over(k.Len(), l.Messages) || over(k.Bytes(), l.Bytes) {
		k.DropOldest()
	}
	if l.MaxAge > 0 {
		oldest := now.Add(-l.MaxAge).UnixMilli()
		for k.Len() > 0 && k.OldestAt() < oldest {
			k.DropOldest()
		}
	}
	t.Count(s)
	for over(t.total, l.TotalBytes) {
		gives := t.rooms[0]
		gives.kept.DropOldest()
		t.Count(gives)
	}
}

// largest is a heap of rooms. On top is the room that keeps most bytes. It is a heap because
// there may be very many rooms, and the largest may be needed for each message.
type largest []*Share

func (l largest) Len() int           { return len(l) }
func (l largest) Less(i, j int) bool { return l[i].bytes > l[j].bytes }
func (l largest) Swap(i, j int)      { l[i], l[j] = l[j], l[i]; l[i].place, l[j].place = i, j }
func (l *largest) Push(s any)        { s.(*Share).place = len(*l); *l = append(*l, s.(*Share)) }

func (l *largest) Pop() any {
	last := len(*l) - 1
	s := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return s
}
