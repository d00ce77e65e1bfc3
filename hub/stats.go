package hub

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats are figures of a hub for a monitor. The probes of [Hub.Ping] are left out.
type Stats struct {
	// These figures are as of now.
	Rooms      int   // rooms that exist, including empty ones
	Members    int   // members that have joined and not left
	LogBytes   int64 // wire bytes that all logs hold
	Remembered int   // ids by which a retry is recognised

	// These figures count since the hub was made.
	Messages       int64 // published messages
	Repeated       int64 // retries that were answered and not published again
	Deliveries     int64 // published messages, each counted once for each member whose log shows it
	ForgottenEarly int64 // ids that were forgotten only because all rooms together had more than RecentTotal

	// Batches counts the passes of hub goroutines by the number of messages that a pass has
	// published. Batches[i] counts passes with at least 2^(i-1) and less than 2^i messages.
	// The last entry also counts all larger passes. All messages of a pass become due to the
	// members at once.
	Batches [12]int64
}

// counters are atomic, because the goroutines of all rooms add to them. They do so a few times
// in each pass and not for each member, so the counters cost little.
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

// Stats may be called from any goroutine. It does not wait for the goroutine of a room.
func (h *Hub) Stats() Stats {
	remembered, early := h.recents.held()
	s := Stats{
		Members:    int(h.counters.members.Load()),
		LogBytes:   h.logBytes.Load(),
		Messages:   h.counters.messages.Load(),
		Repeated:   h.counters.repeated.Load(),
		Deliveries: h.counters.deliveries.Load(),

		Remembered:     remembered,
		ForgottenEarly: early,
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

// Has tells whether a room exists now, or has a history in the journal. If the journal does
// not answer before its Page returns, Has takes the room for one without a history.
func (h *Hub) Has(name string) bool {
	h.mu.Lock()
	exists := h.rooms[name] != nil
	h.mu.Unlock()
	if exists {
		return true
	}
	var kept atomic.Bool
	h.journal.Page(name, PageQuery{After: 1<<53 - 1, Limit: 1}, func(p Page, err error) { kept.Store(err == nil && p.Head > 0) })
	return kept.Load()
}

// clock returns the time since the hub was made. It is monotonic.
func (h *Hub) clock() time.Duration { return time.Since(h.began) }

// Latency returns how long ago the room received the newest message before the cursor. It
// returns false if the cursor is not at the end of the log. If Latency is called right after
// a write, the result is the time from the inbox to the socket. Valid after Joined.
func (m *Member) Latency() (time.Duration, bool) {
	if m.cursor.Lag() > 0 {
		return 0, false
	}
	return m.room.hub.clock() - time.Duration(m.cursor.log.newest.Load()), true
}

// Evicted tells whether the log has dropped the cursor's chunk. Then only cursors keep the
// chunk in memory.
func (c *Cursor) Evicted() bool { return c.chunk.next.Load() == cut }

// Lag is the number of bytes between the cursor and the end of the log.
func (c *Cursor) Lag() int64 {
	tail := c.log.tail.Load()
	return tail.base + tail.published.Load() - c.Offset()
}
