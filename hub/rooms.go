package hub

import "time"

// This file begins and ends rooms and their goroutines. The first use makes a room. The room
// has a goroutine while it is in use and for idleAfter longer. Without the goroutine it keeps
// its position and the ids that it remembers, and the journal keeps its history. Presence is
// empty by then, because idleAfter is longer than leaveGrace. A room ends when
//
//   - a new room needs its place, because Options.MaxRooms rooms exist and this room has been
//     empty longest, or
//   - its goroutine ends and nothing was ever stored in it.
//
// Then the room's goroutine closes it in the journal, without Hub.mu, because that may take a
// while. A new room that has the place or the name of the old one waits in its own goroutine
// until the journal has closed the old one.

// idleAfter is how long a room that nobody uses keeps its goroutine.
const idleAfter = time.Minute

// acquire finds or makes a room, and keeps it in use until release.
func (h *Hub) acquire(name string) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	r := h.rooms[name]
	if r == nil {
		retired, ok := h.makeSpace(name)
		if !ok {
			return nil, ErrRoomsFull
		}
		r = newRoom(h, name)
		r.follows = [...]chan struct{}{retired, h.retired[name]}
		h.rooms[name] = r
	}
	r.refs++
	h.start(r)
	return r, nil
}

// acquireRunning acquires all rooms that have a goroutine.
func (h *Hub) acquireRunning() []*room {
	h.mu.Lock()
	defer h.mu.Unlock()
	var running []*room
	for _, r := range h.rooms {
		if r.running {
			r.refs++
			running = append(running, r)
		}
	}
	return running
}

// release undoes acquire.
func (h *Hub) release(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.refs--; r.refs == 0 {
		r.emptySince = time.Now()
	}
}

// start starts the room's goroutine, unless it runs. Called with h.mu held.
func (h *Hub) start(r *room) {
	if !r.running {
		r.running = true
		h.goroutines.Go(r.run)
	}
}

// wake starts the goroutine of a room for which the journal has delivered something.
func (h *Hub) wake(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[r.name] == r {
		h.start(r)
	}
}

// rest is called by a room's goroutine, and tells it whether it must end now. If ends is true,
// the room ends as well, because nothing was ever stored in it, and the goroutine must call
// forget.
func (h *Hub) rest(r *room) (rests, ends bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.refs > 0 || h.rooms[r.name] != r || !r.sleep() {
		return false, false
	}
	r.running = false
	ends = r.unused() && !h.stays(r.name)
	if ends {
		h.remove(r)
	}
	return true, ends
}

// makeSpace makes sure that there is a place for a new room called name. If it retires another
// room for that, it returns the channel that is closed when the journal has closed that room.
// ok is false if all places are in use. Called with h.mu held.
func (h *Hub) makeSpace(name string) (retired chan struct{}, ok bool) {
	if h.opts.MaxRooms == 0 || h.stays(name) {
		return nil, true
	}
	count, oldest := 0, (*room)(nil)
	if h.opts.DefaultRoom != "" {
		count = 1 // the reserved place of the default room
	}
	for n, r := range h.rooms {
		if h.stays(n) {
			continue
		}
		count++
		if r.refs == 0 && (oldest == nil || r.emptySince.Before(oldest.emptySince)) {
			oldest = r
		}
	}
	if count < h.opts.MaxRooms {
		return nil, true
	}
	if oldest == nil {
		return nil, false
	}
	h.remove(oldest)
	close(oldest.stop)
	h.start(oldest) // its goroutine closes it in the journal
	return oldest.retired, true
}

// stays tells whether the room called name is never retired.
func (h *Hub) stays(name string) bool { return name == h.opts.DefaultRoom || name == probeRoom }

// remove takes the room out of the hub. Before the room's goroutine ends, it must call forget.
// Called with h.mu held.
func (h *Hub) remove(r *room) {
	delete(h.rooms, r.name)
	r.retired = make(chan struct{})
	h.retired[r.name] = r.retired
}

// forget closes a room in the journal after remove has taken it out of the hub. The room's
// goroutine calls it right before it ends.
func (h *Hub) forget(r *room) {
	r.recent.forgetAll()
	h.journal.Close(r.name)
	h.mu.Lock()
	delete(h.retired, r.name) // the entry is r's: a later room of this name still waits for r, so it cannot be retired yet
	h.mu.Unlock()
	close(r.retired)
}
