package journal

import (
	"sort"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// A room is the state of a room that results from its records. Its fields are guarded by Journal.mu, unless their comments say otherwise.
//
//	ids remembered, texts gone │ messages kept
//	gone…                      │ kept…
//	─────────────────────────floor──────────────────────head──▶ seq
//
// A message that is over a limit leaves kept at once. A little later a trim record for many such messages is stored. Until then their
// texts stay on the disk as well, because a restart without the trim needs them.
type room struct {
	name    string          // immutable
	journal *Journal        // immutable
	share   *hub.Share      // of Journal.retention
	deliver func(hub.Entry) // nil while the hub has not opened the room
	head    uint64          // Seq of the newest message there ever was
	floor   uint64          // Seq of the message before kept[0]; head if none is kept
	kept    []entry         // oldest first
	gone    []entry         // oldest first: messages that are not kept, but whose ids are remembered
	hidden  []entry         // oldest first: messages that are not kept, but stay on the disk until a trim is stored; only seq and pos are set
	bytes   int             // the sum of the sizes of all entries in kept
	ids     int             // how many entries of kept have an id that must be remembered
	tail    uint64          // the head that the room will have when the writer's batch is stored; owned by the writer

	// The newest trim on the disk.
	trimmed   uint64     // the floor in that trim
	forgotten uint64     // the forgotten in that trim
	trim      seglog.Pos // where that trim is
	pending   int        // how many messages and ids have left the state after that trim
	forget    uint64     // the forgotten of the next trim
}

// An entry is one message.
type entry struct {
	seq, prev uint64
	at        int64  // Unix milliseconds
	id        hub.ID // zero if retries of the message need not be recognised
	size      int32  // see hub.Message.Size
	pos       seglog.Pos
	message   *hub.Message // nil when it is not in memory
}

func (e *entry) stored() hub.Stored { return hub.Stored{ID: e.id, Seq: e.seq, Prev: e.prev, At: e.at} }

func (j *Journal) room(name string) *room {
	r := j.rooms[name]
	if r == nil {
		r = &room{name: name, journal: j}
		r.share = j.retention.Add(r)
		j.rooms[name] = r
	}
	return r
}

// apply changes the state by one record, whose place on the disk is p. It is called for each record that is read at the start, and for
// each record that has just been stored. It must not depend on the clock, so that both give the same state.
func (j *Journal) apply(rec record, p seglog.Pos) {
	j.last = max(j.last, rec.seq)
	switch rec.kind {
	case kindBase:
		if j.base.Bytes() > 0 {
			j.log.Free(j.base, j.base.Bytes())
		}
		j.epoch, j.base = rec.epoch, p
	case kindMessage:
		j.room(rec.room).applyMessage(rec.message, p)
	case kindKnown:
		j.room(rec.room).applyKnown(rec.message, p)
	case kindTrim:
		j.room(rec.room).applyTrim(rec, p)
	}
}

func (r *room) applyMessage(m *hub.Message, p seglog.Pos) {
	e := entry{seq: m.Seq, prev: m.Prev, at: m.At, size: int32(m.Size()), pos: p}
	if m.Idempotent {
		e.id = m.ID
		r.ids++
	}
	r.kept = append(r.kept, e)
	r.head = m.Seq
	r.bytes += m.Size()
}

// applyKnown adds a message of which only the id is left. A trim, which may come later in the log, has removed this message and all
// messages before it. So none of them is kept, although some may still be on the disk.
func (r *room) applyKnown(m *hub.Message, p seglog.Pos) {
	for len(r.kept) > 0 && r.kept[0].seq < m.Seq {
		r.DropOldest()
	}
	r.gone = append(r.gone, entry{seq: m.Seq, prev: m.Prev, at: m.At, id: m.ID, pos: p})
	r.head = max(r.head, m.Seq)
	r.journal.known++
}

func (r *room) applyTrim(rec record, p seglog.Pos) {
	for len(r.kept) > 0 && r.kept[0].seq <= rec.floor {
		r.DropOldest()
	}
	r.free(rec.floor)
	r.forgetUpTo(rec.forgotten)
	r.floor = max(r.floor, rec.floor)
	r.head = max(r.head, r.floor)
	if r.trim.Bytes() > 0 {
		r.journal.log.Free(r.trim, r.trim.Bytes())
	}
	r.forgotten, r.trim = rec.forgotten, p
	r.pending = len(r.hidden) // what has left while the trim was being stored
	if r.forget > r.forgotten {
		r.pending++
	}
	if r.pending < trimAfter {
		delete(r.journal.due, r)
	}
	r.journal.retention.Count(r.share)
}

// Len, Bytes, OldestAt and DropOldest implement hub.Kept.
func (r *room) Len() int        { return len(r.kept) }
func (r *room) Bytes() int      { return r.bytes }
func (r *room) OldestAt() int64 { return r.kept[0].at }

func (r *room) DropOldest() {
	e := r.kept[0]
	r.kept[0].message = nil // otherwise the array would keep the message in memory until append copies the rest
	if r.kept = r.kept[1:]; len(r.kept) == 0 {
		r.kept = nil
	}
	r.floor = e.seq
	r.bytes -= int(e.size)
	r.left(1)
	r.hidden = append(r.hidden, entry{seq: e.seq, pos: e.pos})
	if e.id == (hub.ID{}) {
		return
	}
	r.ids--
	e.message, e.size = nil, 0
	r.gone = append(r.gone, e)
	r.journal.known++
}

// free frees the texts of messages up to a floor on the disk, after a trim for them was stored. Ids that are still remembered stay.
func (r *room) free(floor uint64) {
	r.trimmed = floor
	n := 0
	for n < len(r.hidden) && r.hidden[n].seq <= floor {
		r.freeText(r.hidden[n].seq, r.hidden[n].pos)
		n++
	}
	if r.hidden = r.hidden[n:]; len(r.hidden) == 0 {
		r.hidden = nil
	}
}

// freeText frees the record of a message on the disk. If the id is still remembered, the bytes that the id needs are not freed.
func (r *room) freeText(seq uint64, p seglog.Pos) {
	n := p.Bytes()
	if r.goneAt(seq) != nil {
		n -= r.idBytes(p)
	}
	r.journal.log.Free(p, n)
}

// moved notes the new place of a message on the disk. If the message was trimmed while it was copied, moved frees it there.
func (r *room) moved(seq uint64, p seglog.Pos) {
	if e := r.keptAt(seq); e != nil {
		e.pos = p
		return
	}
	if e := r.goneAt(seq); e != nil {
		e.pos = p
	}
	if h := r.hiddenAt(seq); h != nil {
		h.pos = p
		return
	}
	r.freeText(seq, p)
}

// idBytes returns how many bytes of a record are needed for its id.
func (r *room) idBytes(p seglog.Pos) int64 { return min(p.Bytes(), int64(knownSize+len(r.name))) }

// forgetOldest forgets the oldest n ids of messages that are not kept.
func (r *room) forgetOldest(n int) {
	for _, e := range r.gone[:n] {
		if e.seq <= r.trimmed {
			r.journal.log.Free(e.pos, r.idBytes(e.pos))
		}
		r.forget = e.seq
	}
	if r.gone = r.gone[n:]; len(r.gone) == 0 {
		r.gone = nil
	}
	r.journal.known -= n
	r.left(n)
}

// forgetUpTo forgets the ids of messages that are not kept up to a Seq.
func (r *room) forgetUpTo(seq uint64) {
	r.forgetOldest(sort.Search(len(r.gone), func(i int) bool { return r.gone[i].seq > seq }))
}

// left counts n messages or ids that have left the state and that the next trim must cover.
func (r *room) left(n int) {
	if r.pending += n; r.pending >= trimAfter {
		r.journal.due[r] = struct{}{}
	}
}

// forgetOld forgets ids that are older than hub.RecentAge and not among the newest hub.RecentIDs.
func (r *room) forgetOld(now time.Time) {
	tooOld := now.Add(-hub.RecentAge).UnixMilli()
	n := 0
	for n < len(r.gone) && r.gone[n].at < tooOld && len(r.gone)-n+r.ids > hub.RecentIDs {
		n++
	}
	r.forgetOldest(n)
}

// nextTrim returns the trim record for everything that has left the state after the last trim.
func (r *room) nextTrim(seq uint64) record {
	return record{kind: kindTrim, seq: seq, room: r.name, floor: r.floor, forgotten: max(r.forgotten, r.forget)}
}

// recent lists the ids that must be recognised, oldest first.
func (r *room) recent() (all []hub.Stored) {
	for i := range r.gone {
		all = append(all, r.gone[i].stored())
	}
	for i := range r.kept {
		if r.kept[i].id != (hub.ID{}) {
			all = append(all, r.kept[i].stored())
		}
	}
	return all
}

// find returns the messages that a query asks for.
func (r *room) find(q hub.PageQuery) []entry {
	from, to := q.Select(len(r.kept), r.head, func(i int) (uint64, int) {
		return r.kept[i].seq, int(r.kept[i].size) - overhead
	})
	return r.kept[from:to]
}

// overhead is how many bytes a message's size counts in addition to its payload.
var overhead = new(hub.Message).Size()

// keptAt, goneAt and hiddenAt return the entry with a Seq in kept, gone or hidden, or nil if there is none.
func (r *room) keptAt(seq uint64) *entry   { return entryAt(r.kept, seq) }
func (r *room) goneAt(seq uint64) *entry   { return entryAt(r.gone, seq) }
func (r *room) hiddenAt(seq uint64) *entry { return entryAt(r.hidden, seq) }

func entryAt(entries []entry, seq uint64) *entry {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].seq >= seq })
	if i == len(entries) || entries[i].seq != seq {
		return nil
	}
	return &entries[i]
}
