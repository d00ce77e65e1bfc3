package bench

import "time"

// A room has one order in which all members must receive its messages. The first member that receives a message decides its place in the
// order. Each delivery is compared with the message that the member must get next, and only a difference is examined further. If the first
// member has a fault, the faults are counted at the other members, because from outside nobody can tell which of two orders is right.
type room struct {
	name        string
	group       int
	members     []int // connections
	readers     int   // members whose deliveries are checked: all but the stalled ones
	firstSender int

	next    []uint64         // for each sender: the number after the highest number that any member has received
	skipped map[key]struct{} // messages below next that no member has received
	entries []entry          // the order, without the messages at its beginning that all members have received
	base    int64            // the position of entries[0]
	hash    uint64           // hash of the keys of all messages in order
	synced  int              // members that have received a probe
	probes  uint64           // probes sent
}

// An entry is one message in the order.
type entry struct {
	words    headWords
	key      key
	due      time.Duration
	got      int32 // how many readers have received it
	measured bool
}

// faults counts broken promises.
type faults struct {
	lost      int64 // deliveries that never came
	doubled   int64
	reordered int64 // deliveries that came after a later one
	damaged   int64 // messages whose bytes are not those that were sent
	strayed   int64 // messages received in another room
	holes     int64 // doyasa.v1: messages whose prev is not the seq of the message before
	closed    int64 // connections that the server closed
	foreign   int64 // messages of senders outside this run, which are not a fault

	refused map[string]int64 // error frames, by code
	reasons map[string]int64 // the reasons why connections ended, with their numbers
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

// deliver handles a message that connection i has received. p begins with the head of the message.
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

// accept counts a delivery that was expected.
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

// unexpected handles a message that is not the next one for connection i. Either no member has received it before, or it is a fault.
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
		r.faults.damaged++ // no sender has sent this message
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

// isNew reports whether no member has received k before.
func (rm *room) isNew(n int, k key) bool {
	if k.seq() >= rm.next[n] {
		return true
	}
	_, skipped := rm.skipped[k]
	return skipped
}

// join appends a new message to the order. It reports whether a later message of the same sender has a place before it.
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
	rm.hash = (rm.hash ^ uint64(k)) * 0x100000001b3 // like FNV-1a, but with words instead of bytes
	rm.hash ^= rm.hash >> 29
	return late
}

// forget drops the entries that every member has received.
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

// find returns the place of k at or after a place in entries, or -1.
func (rm *room) find(k key, from int) int {
	for at := max(from, 0); at < len(rm.entries); at++ {
		if rm.entries[at].key == k {
			return at
		}
	}
	return -1
}

// jump moves the connection to the place after entry at. The entries that it skips may still come later.
func (c *conn) jump(rm *room, at int) {
	for from := int(c.pos - rm.base); from < at; from++ {
		if c.late == nil {
			c.late = make(map[key]struct{})
		}
		c.late[rm.entries[from].key] = struct{}{}
	}
	c.pos = rm.base + int64(at) + 1
}

// judge counts the deliveries that never came.
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
