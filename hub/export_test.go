package hub

import "unsafe"

// Hold stops the hub goroutine of a room at an item of the inbox until release, so that
// it deals with everything that is put meanwhile in one pass.
func (h *Hub) Hold(name string) (release func()) {
	r, err := h.acquire(name)
	if err != nil {
		panic(err)
	}
	held, gate := make(chan struct{}), make(chan struct{}) // closed by the item; closed by release
	r.inbox.put(item{do: func(*room, item) {
		close(held)
		<-gate
	}})
	<-held
	return func() {
		h.release(r)
		close(gate)
	}
}

// Rooms returns the names of the rooms that exist, hidden ones included, and whether each
// has a goroutine.
func (h *Hub) Rooms() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make(map[string]bool)
	for name, r := range h.rooms {
		names[name] = r.running
	}
	return names
}

// Retiring is how many rooms have been retired and are not yet closed in the journal.
func (h *Hub) Retiring() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.retired)
}

// LogBytes is what all logs hold.
func (h *Hub) LogBytes() int64 { return h.logBytes.Load() }

// InboxBytes counts the messages that have been said in a room and have no outcome.
func (h *Hub) InboxBytes(name string) int {
	h.mu.Lock()
	in := &h.rooms[name].inbox
	h.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes
}

// LimitRecent lets a new hub remember fewer ids than RecentTotal.
func (h *Hub) LimitRecent(total int) { h.recents.limit = total }

// RaceDetector is on.
const RaceDetector = raceDetector

// Sizes of what the hub keeps for a member, in bytes.
const (
	MemberSize = unsafe.Sizeof(Member{})
	PersonSize = unsafe.Sizeof(person{})
)
