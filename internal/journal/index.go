package journal

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// An index knows, for every room, which messages the stream keeps and which of them are
// shown, so that nothing has to be searched on disk. Everything here is guarded by
// Journal.mu.
//
// Trimming has two steps. What is over a limit is hidden at once, which costs nothing;
// when enough is hidden, a record of the trim is stored, with the ids of what goes, and
// then the messages are purged. A crash between any two of these leaves a store from
// which the same room comes back.
type index struct {
	limits Limits
	rooms  map[string]*room
	sizes  sizes              // all rooms
	total  int                // bytes of all shown messages
	pushed map[*room]struct{} // that others have made smaller
	cache  cache
}

// Limits bound what is shown of history. For each, 0 means no limit.
type Limits struct {
	Messages   int           // per room
	Bytes      int           // per room
	TotalBytes int           // all rooms; the room that holds most gives first
	MaxAge     time.Duration // older messages are not shown, and leave the disk within a minute
}

type room struct {
	name    string
	deliver func(hub.Entry) // nil while the hub has not opened it
	head    uint64
	floor   uint64  // Seq of the message before kept[0]; head if none is kept
	kept    []entry // in the stream, oldest first
	hidden  int     // how many of kept are over a limit
	bytes   int     // of kept[hidden:]
	place   int     // in index.sizes
	hiddenB int     // of kept[:hidden]
	trims   []trimmed
	last    trim   // the newest of trims, without its ids
	tail    uint64 // head as it will be once the writer's batch is stored; the writer's alone
	dirty   bool   // in the writer's list of rooms to look at; the writer's alone
}

// An entry is one message of the stream.
type entry struct {
	seq, prev uint64
	at        int64
	id        hub.ID // zero unless it is idempotent
	size      int32
	message   *hub.Message // nil when it is not in the cache
}

// trimmed is a record of a trim in the stream.
type trimmed struct {
	seq  uint64
	gone []hub.Stored
}

func newIndex(l Limits) index {
	return index{limits: l, rooms: make(map[string]*room), pushed: make(map[*room]struct{})}
}

func (x *index) room(name string) *room {
	r := x.rooms[name]
	if r == nil {
		r = &room{name: name}
		x.rooms[name] = r
		heap.Push(&x.sizes, r)
	}
	return r
}

// drop forgets a room that nothing is known about.
func (x *index) drop(r *room) {
	if r.head == 0 && len(r.trims) == 0 {
		delete(x.rooms, r.name)
		heap.Remove(&x.sizes, r.place)
	}
}

// add puts a stored message at the end of its room.
func (x *index) add(r *room, m *hub.Message, cached bool) {
	e := entry{seq: m.Seq, prev: m.Prev, at: m.At, size: int32(m.Size())}
	if m.Idempotent {
		e.id = m.ID
	}
	r.kept = append(r.kept, e)
	r.head = m.Seq
	x.resize(r, m.Size())
	if cached {
		x.cache.add(r, m)
	}
}

// enforce hides what is over a limit: of r, and of the largest rooms when the total is.
func (x *index) enforce(r *room) {
	over := func(n, limit int) bool { return limit > 0 && n > limit }
	for over(len(r.kept)-r.hidden, x.limits.Messages) || over(r.bytes, x.limits.Bytes) {
		x.hide(r)
	}
	if x.limits.MaxAge > 0 {
		oldest := time.Now().Add(-x.limits.MaxAge).UnixMilli()
		for r.hidden < len(r.kept) && r.kept[r.hidden].at < oldest {
			x.hide(r)
		}
	}
	for over(x.total, x.limits.TotalBytes) {
		largest := x.sizes[0]
		x.hide(largest)
		if largest != r {
			x.pushed[largest] = struct{}{}
		}
	}
}

// resize counts bytes that a room shows more or less.
func (x *index) resize(r *room, bytes int) {
	r.bytes += bytes
	x.total += bytes
	heap.Fix(&x.sizes, r.place)
}

// sizes is a heap of rooms with the one on top that shows most bytes: very many rooms may
// have been used, and the largest is looked for whenever something is said.
type sizes []*room

func (s sizes) Len() int           { return len(s) }
func (s sizes) Less(i, j int) bool { return s[i].bytes > s[j].bytes }
func (s sizes) Swap(i, j int)      { s[i], s[j] = s[j], s[i]; s[i].place, s[j].place = i, j }
func (s *sizes) Push(r any)        { r.(*room).place = len(*s); *s = append(*s, r.(*room)) }

func (s *sizes) Pop() any {
	last := len(*s) - 1
	r := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return r
}

// hide takes the oldest shown message of r out of sight.
func (x *index) hide(r *room) {
	e := &r.kept[r.hidden]
	e.message = nil
	r.hidden++
	r.hiddenB += int(e.size)
	x.resize(r, -int(e.size))
}

// worthTrimming tells whether so much is hidden that the disk should be rid of it.
func (x *index) worthTrimming(r *room) bool {
	return r.hidden > 0 && (r.hidden >= max(64, (len(r.kept)-r.hidden)/8) || r.hiddenB >= max(64<<10, x.limits.Bytes/8))
}

// planTrim is the record for everything that is hidden in r.
func (r *room) planTrim() trim {
	t := trim{floor: r.kept[r.hidden-1].seq, messages: r.last.messages + uint64(r.hidden), records: r.last.records + 1}
	for _, e := range r.kept[:r.hidden] {
		if e.id != (hub.ID{}) {
			t.gone = append(t.gone, hub.Stored{ID: e.id, Seq: e.seq, Prev: e.prev, At: e.at})
		}
	}
	return t
}

// applyTrim drops what a trim, stored at seq, says.
func (x *index) applyTrim(r *room, seq uint64, t trim) {
	for r.hidden < len(r.kept) && r.kept[r.hidden].seq <= t.floor {
		x.hide(r)
	}
	n := 0
	for n < r.hidden && r.kept[n].seq <= t.floor {
		r.hiddenB -= int(r.kept[n].size)
		n++
	}
	r.kept = slices.Delete(r.kept, 0, n)
	r.hidden -= n
	r.floor = max(r.floor, t.floor)
	r.head = max(r.head, r.floor)
	if len(r.kept) > 0 && r.kept[0].prev < r.floor { // of a shared stream, where prev is not stored
		r.kept[0].prev, r.kept[0].message = r.floor, nil
	}
	r.trims = append(r.trims, trimmed{seq, t.gone})
	r.last = t
	r.last.gone = nil
}

// forget drops the records of trims whose ids are all old enough and many enough, and
// returns the Seq up to which their subject may be purged, 0 if there is nothing. The
// newest always stays: it has the floor.
func (r *room) forget(now time.Time) (upTo uint64) {
	newer := len(r.kept)
	tooOld := now.Add(-hub.RecentAge).UnixMilli()
	for i := len(r.trims) - 1; i >= 0; i-- {
		t := r.trims[i]
		young := len(t.gone) > 0 && t.gone[len(t.gone)-1].At >= tooOld
		if i < len(r.trims)-1 && newer >= hub.RecentIDs && !young {
			upTo = t.seq
			r.trims = slices.Delete(r.trims, 0, i+1)
			return upTo
		}
		newer += len(t.gone)
	}
	return 0
}

// recent lists the ids that must still be recognised, oldest first.
func (r *room) recent() []hub.Stored {
	var all []hub.Stored
	for _, t := range r.trims {
		all = append(all, t.gone...)
	}
	for _, e := range r.kept {
		if e.id != (hub.ID{}) {
			all = append(all, hub.Stored{ID: e.id, Seq: e.seq, Prev: e.prev, At: e.at})
		}
	}
	return all
}

// shownFloor is the Seq before the oldest shown message, or head if none is.
func (r *room) shownFloor() uint64 {
	switch {
	case r.hidden > 0:
		return r.kept[r.hidden-1].seq
	case len(r.kept) > 0:
		return r.kept[0].prev
	}
	return r.head
}

// find returns the entries that a query asks for, which are valid while mu is held.
func (r *room) find(q hub.PageQuery) []entry {
	shown := r.kept[r.hidden:]
	from := sort.Search(len(shown), func(i int) bool { return shown[i].seq > q.After })
	end := cmp.Or(q.Before, r.head+1)
	to := sort.Search(len(shown), func(i int) bool { return shown[i].seq >= end })
	if from >= to {
		return nil
	}
	matching := shown[from:to]
	n, bytes := 0, 0
	for n < len(matching) && n < q.Limit {
		next := &matching[n]
		if q.Newest {
			next = &matching[len(matching)-1-n]
		}
		bytes += int(next.size) - overhead
		if n > 0 && q.Bytes > 0 && bytes > q.Bytes {
			break
		}
		n++
	}
	if q.Newest {
		return matching[len(matching)-n:]
	}
	return matching[:n]
}

// overhead is what a message's size counts beside its payload.
var overhead = new(hub.Message).Size()

// at returns the entry of a Seq, or nil.
func (r *room) at(seq uint64) *entry {
	i := sort.Search(len(r.kept), func(i int) bool { return r.kept[i].seq >= seq })
	if i == len(r.kept) || r.kept[i].seq != seq {
		return nil
	}
	return &r.kept[i]
}
