package hub

import (
	"container/heap"
	"sync"
	"time"
)

// These constants say how long ids are remembered. An id is remembered for RecentAge, and
// longer while it is among the last RecentIDs ids of its room. But all rooms together
// remember at most RecentTotal ids, and forget the oldest first. An id may be remembered
// longer than its message is kept, because a retry must be recognised even then. A durable
// journal remembers ids by the same rule.
const (
	RecentAge   = 10 * time.Minute
	RecentIDs   = 100_000
	RecentTotal = 350_000
)

// Stored is the place of an idempotent message. A retry of the message is answered with it.
type Stored struct {
	ID        ID
	Seq, Prev uint64
	At        int64 // Unix milliseconds
}

// recents are the remembered ids of all rooms of a hub. One lock for all rooms is enough,
// because it is held only briefly, and only for messages whose sender has chosen the id.
type recents struct {
	limit int // immutable: RecentTotal, less in tests

	mu    sync.Mutex
	total int      // guarded by mu: how many ids all rooms remember
	rooms byOldest // guarded by mu: rooms with at least one id
	early int64    // guarded by mu: how many ids were forgotten only because total was above limit
}

// recent remembers the ids of one room's published messages, so that a retry is answered
// and not stored twice. All fields are guarded by recents.mu.
type recent struct {
	all   *recents
	seen  map[ID]Stored
	order []ID // the keys of seen, oldest first
	most  int  // the largest length of order since seen was made
	place int  // the index in recents.rooms
}

// find returns the place of a remembered id.
func (r *recent) find(id ID) (Stored, bool) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	was, ok := r.seen[id]
	return was, ok
}

// add remembers a stored message and returns its place. If the id is known already, add
// returns the place of the first message and changes nothing.
func (r *recent) add(is Stored) Stored {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	if was, ok := r.seen[is.ID]; ok {
		return was
	}
	if r.seen == nil {
		r.seen = make(map[ID]Stored)
	}
	r.seen[is.ID] = is
	r.order = append(r.order, is.ID)
	r.most = max(r.most, len(r.order))
	r.all.total++
	if len(r.order) == 1 {
		heap.Push(&r.all.rooms, r)
	}
	return is
}

// forget drops the ids that this room need not remember any longer at the time now. If all
// rooms together remember too many, it also drops the oldest ids of all rooms.
func (r *recent) forget(now time.Time) {
	tooOld := now.Add(-RecentAge).UnixMilli()
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	for r.mayForget(tooOld) {
		r.drop()
	}
	for r.all.total > r.all.limit {
		oldest := r.all.rooms[0]
		if !oldest.mayForget(tooOld) {
			r.all.early++
		}
		oldest.drop()
	}
}

// forgetAll drops all ids of the room.
func (r *recent) forgetAll() {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	for len(r.order) > 0 {
		r.drop()
	}
}

func (r *recent) empty() bool {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	return len(r.order) == 0
}

func (r *recent) oldest() Stored { return r.seen[r.order[0]] }

// mayForget tells whether the room's oldest id is both older than tooOld and not among the
// last RecentIDs.
func (r *recent) mayForget(tooOld int64) bool {
	return len(r.order) > RecentIDs && r.oldest().At < tooOld
}

// drop forgets the room's oldest id.
func (r *recent) drop() {
	delete(r.seen, r.order[0])
	r.order = r.order[1:]
	r.all.total--
	if len(r.order) == 0 {
		heap.Remove(&r.all.rooms, r.place)
		r.seen, r.order, r.most = nil, nil, 0
		return
	}
	heap.Fix(&r.all.rooms, r.place)
	r.shrink()
}

// shrink copies seen and order when three quarters of the ids are gone, because a map and a
// slice do not release memory by themselves.
func (r *recent) shrink() {
	const small = 64
	if r.most <= small || 4*len(r.order) > r.most {
		return
	}
	seen := make(map[ID]Stored, len(r.order))
	for _, id := range r.order {
		seen[id] = r.seen[id]
	}
	r.seen, r.order, r.most = seen, append([]ID(nil), r.order...), len(r.order)
}

// held returns how many ids are remembered, and how many were forgotten only because of the
// limit.
func (a *recents) held() (total int, early int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total, a.early
}

// byOldest is a heap of rooms. On top is the room that has the oldest id of all rooms.
type byOldest []*recent

func (h byOldest) Len() int           { return len(h) }
func (h byOldest) Less(i, j int) bool { return h[i].oldest().At < h[j].oldest().At }
func (h byOldest) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }
func (h *byOldest) Push(r any)        { r.(*recent).place = len(*h); *h = append(*h, r.(*recent)) }

func (h *byOldest) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
