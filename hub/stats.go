package hub

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats is what a hub holds and has done, for whoever runs it. What is counted in all
// only grows. The probes of [Hub.Ping] are left out.
type Stats struct {
	Rooms    int   // that exist, also empty ones
	Members  int   // who have their place in a log
	LogBytes int64 // wire bytes that all logs hold

	Messages   int64 // published
	Repeated   int64 // retries answered instead of being published
	Deliveries int64 // messages published, each as often as there were members whose log shows it

	// Batches counts the passes of hub goroutines by how many messages each published:
	// Batches[i] those with less than 2^i of them and at least half as many. What is
	// published in one pass is due to each member at once.
	Batches [12]int64
}

// counters are added to by hub goroutines, a few times a pass and never per member.
type counters struct {
	members    atomic.Int64
	messages   atomic.Int64
	repeated   atomic.Int64
	deliveries atomic.Int64
	batches    [len(Stats{}.Batches)]atomic.Int64
}

// published counts one pass.
func (c *counters) published(messages, deliveries int) {
	if messages == 0 {
		return
	}
	c.messages.Add(int64(messages))
	c.deliveries.Add(int64(deliveries))
	c.batches[min(bits.Len(uint(messages)), len(c.batches)-1)].Add(1)
}

// Stats may be called from any goroutine, and costs what reading some numbers costs.
func (h *Hub) Stats() Stats {
	s := Stats{
		Members:    int(h.counters.members.Load()),
		LogBytes:   h.logBytes.Load(),
		Messages:   h.counters.messages.Load(),
		Repeated:   h.counters.repeated.Load(),
		Deliveries: h.counters.deliveries.Load(),
	}
	for i := range s.Batches {
		s.Batches[i] = h.counters.batches[i].Load()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Rooms = len(h.rooms)
	if h.rooms[probeRoom] != nil {
		s.Rooms--
	}
	return s
}

// Has tells whether a room exists just now, or has history in a journal that answers at
// once.
func (h *Hub) Has(room string) bool {
	h.mu.Lock()
	exists := h.rooms[room] != nil
	h.mu.Unlock()
	if exists {
		return true
	}
	var kept atomic.Bool
	h.journal.Page(room, PageQuery{After: 1<<53 - 1, Limit: 1}, func(p Page, err error) { kept.Store(err == nil && p.Head > 0) })
	return kept.Load()
}

// clock is the time since the hub was made, which never jumps.
func (h *Hub) clock() time.Duration { return time.Since(h.began) }

// Latency is how long ago the room took up the newest of the messages in front of the
// cursor, if the cursor stands at the end of the log: right after a write, how long that
// message took to get there. For the owner alone, after Joined.
func (m *Member) Latency() (time.Duration, bool) {
	if m.cursor.Lag() > 0 {
		return 0, false
	}
	return m.room.hub.clock() - time.Duration(m.cursor.log.newest.Load()), true
}

// Evicted tells that the log has let go of the chunk in which the cursor stands, so that
// the cursor alone keeps it in memory.
func (c *Cursor) Evicted() bool { return c.chunk.next.Load() == cut }

// Lag is how many bytes lie between the cursor and the end of the log.
func (c *Cursor) Lag() int64 {
	tail := c.log.tail.Load()
	return tail.base + tail.published.Load() - c.Offset()
}
