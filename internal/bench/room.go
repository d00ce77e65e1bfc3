package bench

import "time"

// A room is held to one order: that in which its messages were first seen by any member. Every other member must see the same run
// of them. Each delivery costs one comparison with the entry that is due; only what differs is looked into. If the one who is read
// first has a fault of its own, the others count as out of its order: which of two orders is the right one, nobody can tell.
type room struct {
	name        string
	group       int
	members     []int // connections
	readers     int   // members that are judged: all but the stalled
	firstSender int

	next    []uint64         // of each sender: the number above its highest that has been seen
	skipped map[key]struct{} // numbers below next that nobody has seen
	entries []entry          // the order, without what everybody has seen
	base    int64            // position of entries[0]
	hash    uint64           // of all keys in order
	synced  int              // members who have seen a probe
	probes  uint64           // sent
}

// An entry is one message of the order.
type entry struct {
	words    headWords
	key      key
	due      time.Duration
	got      int32 // readers who have it
	measured bool
}

// faults are broken promises.
type faults struct {
	lost      int64 // deliveries that never came
	doubled   int64
	reordered int64 // deliveries behind one that they belong before
	damaged   int64 // not the bytes that were sent
	strayed   int64 // seen in another room
	holes     int64 // doyasa.v1: prev is not the seq before
	closed    int64 // connections that the server ended
	foreign   int64 // messages of others: no fault

	refused map[string]int64 // error frames, by code
	reasons map[string]int64 // why connections ended
}

func (f *faults) total() int64 {
	return f.lost + f.doubled + f.reordered + f.damaged + f.strayed + f.holes + f.closed
}

func (f *faults) refuse(code string) { count(&f.refused, code) }
func (f *faults) ended(why string)   { count(&f.reasons, why) }

func count(m *map[string]int64, what string) {
	if *m == nil {
		*m = make(map[string]int64)
	}
	(*m)[what]++
}

// deliver takes a whole message of size bytes that connection i has received. p holds its head at least.
func (r *run) deliver(i int, c *conn, p []byte, now time.Duration) {
	rm := &r.rooms[c.room]
	if at := int(c.pos - rm.base); at < len(rm.entries) && !c.stalled {
		if e := &rm.entries[at]; e.words == wordsOf(p) {
			c.pos++
			r.accept(i, rm, e, now)
			return
		}
	}
	r.unexpected(i, c, rm, p, now)
}

// accept counts a delivery that was owed.
func (r *run) accept(i int, rm *room, e *entry, now time.Duration) {
	e.got++
	r.arrived++
	if e.measured {
		g := &r.groups[rm.group]
		r.measured++
		g.seen.record(now - e.due)
		if int(e.got) == rm.readers {
			g.all.record(now - e.due)
		}
	}
	if s := &r.senders[e.key.sender()]; s.conn == i {
		s.back(r, e.key.sender(), now)
	}
}

// unexpected takes a message that is not the one due to connection i: the first of its kind, or a fault.
func (r *run) unexpected(i int, c *conn, rm *room, p []byte, now time.Duration) {
	k, tag, due, ok := parseHead(p)
	if !ok || tag != r.tag {
		r.faults.foreign++
		return
	}
	if k.sender() == probe {
		if !c.synced {
			c.synced = true
			rm.synced++
			r.synced++
		}
		return
	}
	if c.stalled {
		return
	}
	n := k.sender() - rm.firstSender
	if n < 0 || n >= len(rm.next) {
		r.faults.strayed++
		return
	}
	if k.seq() >= r.senders[k.sender()].issued {
		r.faults.damaged++ // nobody has said it
		return
	}
	if _, late := c.late[k]; late {
		delete(c.late, k)
		r.faults.reordered++
		if at := rm.find(k, 0); at >= 0 {
			r.accept(i, rm, &rm.entries[at], now)
		}
		return
	}
	if rm.isNew(n, k) {
		if r.join(rm, n, k, due, p) {
			r.faults.reordered++
		}
		c.jump(rm, len(rm.entries)-1)
		r.accept(i, rm, &rm.entries[len(rm.entries)-1], now)
		return
	}
	if at := rm.find(k, int(c.pos-rm.base)); at >= 0 {
		c.jump(rm, at)
		r.accept(i, rm, &rm.entries[at], now)
		return
	}
	r.faults.doubled++
}

// isNew tells whether nobody has seen k before.
func (rm *room) isNew(n int, k key) bool {
	if k.seq() >= rm.next[n] {
		return true
	}
	_, skipped := rm.skipped[k]
	return skipped
}

// join appends a new message to the order. It reports whether that is behind later ones of the same sender.
func (r *run) join(rm *room, n int, k key, due time.Duration, p []byte) (late bool) {
	if k.seq() < rm.next[n] {
		delete(rm.skipped, k)
		late = true
	} else {
		for s := rm.next[n]; s < k.seq(); s++ {
			rm.skipped[newKey(k.sender(), s)] = struct{}{}
		}
		rm.next[n] = k.seq() + 1
	}
	if len(rm.entries) == cap(rm.entries) && len(rm.entries) >= 4096 {
		r.forget(rm)
	}
	rm.entries = append(rm.entries, entry{words: wordsOf(p), key: k, due: due, measured: r.isMeasured(due)})
	rm.hash = (rm.hash ^ uint64(k)) * 0x100000001b3 // as FNV-1a does, on words
	rm.hash ^= rm.hash >> 29
	return late
}

// forget drops what every member has passed.
func (r *run) forget(rm *room) {
	least := rm.base + int64(len(rm.entries))
	for _, m := range rm.members {
		if c := &r.conns[m]; !c.stalled && !c.gone {
			least = min(least, c.pos)
		}
	}
	kept := copy(rm.entries, rm.entries[least-rm.base:])
	rm.entries = rm.entries[:kept]
	rm.base = least
}

// find returns the place of k among entries from that place on, or -1.
func (rm *room) find(k key, from int) int {
	for at := max(from, 0); at < len(rm.entries); at++ {
		if rm.entries[at].key == k {
			return at
		}
	}
	return -1
}

// jump moves the connection behind entry at. What it has not seen of those before may still come, late.
func (c *conn) jump(rm *room, at int) {
	for from := int(c.pos - rm.base); from < at; from++ {
		if c.late == nil {
			c.late = make(map[key]struct{})
		}
		c.late[rm.entries[from].key] = struct{}{}
	}
	c.pos = rm.base + int64(at) + 1
}

// judge counts what never came.
func (r *run) judge() {
	for at := range r.rooms {
		rm := &r.rooms[at]
		end := rm.base + int64(len(rm.entries))
		for _, m := range rm.members {
			if c := &r.conns[m]; !c.stalled {
				r.faults.lost += end - c.pos + int64(len(c.late))
			}
		}
		unseen := int64(len(rm.skipped))
		for n, next := range rm.next {
			unseen += int64(r.senders[rm.firstSender+n].issued - next)
		}
		r.faults.lost += unseen * int64(rm.readers)
	}
}

func (r *run) isMeasured(due time.Duration) bool {
	return r.from > 0 && due >= r.from && (r.until == 0 || due < r.until)
}
