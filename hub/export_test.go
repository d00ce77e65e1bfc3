package hub

import "unsafe"

// Hold stops the hub goroutine of a room at an item of the inbox until release, so that
// what is put meanwhile is dealt with in one pass.
func (h *Hub) Hold(room string) (release func()) {
	r, err := h.acquire(room)
	if err != nil {
		panic(err)
	}
	held, gate := make(chan struct{}), make(chan struct{})
	r.inbox.put(item{do: func(*Room, item) {
		close(held)
		<-gate
	}})
	<-held
	return func() {
		h.release(r)
		close(gate)
	}
}

// Rooms returns the names of the rooms that exist, hidden ones included.
func (h *Hub) Rooms() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make(map[string]bool)
	for name := range h.rooms {
		names[name] = true
	}
	return names
}

// LogBytes is what all logs hold.
func (h *Hub) LogBytes() int64 { return h.logBytes.Load() }

// InboxBytes is what has been said in a room and has no outcome.
func (h *Hub) InboxBytes(room string) int {
	h.mu.Lock()
	in := &h.rooms[room].inbox
	h.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes
}

// RaceDetector is on.
const RaceDetector = raceDetector

// Sizes of what the hub keeps for a member, in bytes.
const (
	MemberSize = unsafe.Sizeof(Member{})
	PersonSize = unsafe.Sizeof(person{})
)
