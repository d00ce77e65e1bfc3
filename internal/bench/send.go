package bench

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// A sender is a member that says something.
type sender struct {
	conn, room int
	issued     uint64 // messages said
	flood      bool
}

// back is called when a sender's own message has come back to it: in a flood it says the next.
func (s *sender) back(r *run, id int, now time.Duration) {
	if s.flood && r.sending {
		r.say(id, now)
	}
}

// say puts a message on its sender's connection; flush sends it.
func (r *run) say(id int, due time.Duration) {
	s := &r.senders[id]
	r.put(s.conn, newKey(id, s.issued), due)
	s.issued++
	r.expected += int64(r.rooms[s.room].readers)
	if r.isMeasured(due) {
		r.sent++
	}
}

const (
	sayBegin = `{"type":"say","text":"`
	sayEnd   = `"}`
)

// put appends the frame of one message to what connection i is to send.
func (r *run) put(i int, k key, due time.Duration) {
	p := r.frame[:0]
	if r.opts.V1 {
		p = append(p, sayBegin...)
	}
	p = append(appendHead(p, k, r.tag, due), r.filler...)
	if r.opts.V1 {
		p = append(p, sayEnd...)
	}
	r.frame = p
	r.pend(i, wsproto.OpText, p)
}

// pend appends a frame to what connection i is to send.
func (r *run) pend(i int, op wsproto.Opcode, payload []byte) {
	c := &r.conns[i]
	h := wsproto.Header{Fin: true, Opcode: op, Masked: true}
	binary.NativeEndian.PutUint32(h.MaskingKey[:], rand.Uint32())
	if len(c.out) == 0 {
		r.dirty = append(r.dirty, i)
	}
	c.out = wsproto.AppendFrame(c.out, h, payload)
}

// flush writes what is pending on the connections that have something new.
func (r *run) flush() {
	for _, i := range r.dirty {
		r.writable(i)
	}
	r.dirty = r.dirty[:0]
}

// writable writes what is pending on connection i, as far as its socket takes it.
func (r *run) writable(i int) {
	c := &r.conns[i]
	if len(c.out) == 0 || c.gone {
		c.out = nil
		return
	}
	n := r.sockets.write(i, c.out)
	c.out = c.out[:copy(c.out, c.out[n:])]
	if len(c.out) == 0 && cap(c.out) > 1024 {
		c.out = nil
	}
}

// schedule is a heap of rooms by when they say something next.
type schedule []turn

type turn struct {
	due    time.Duration
	room   int
	begin  time.Duration
	period float64 // ns
	n      int     // messages said
}

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due < s[j].due }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(turn)) }
func (s *schedule) Pop() any          { panic("nothing leaves a schedule") }

// start lets the senders begin at a time: the rooms of an open-loop group spread over one period, a flood all at once.
func (r *run) start(at time.Duration) {
	r.sending = true
	for gi := range r.groups {
		g := &r.groups[gi]
		for i := g.first; i < g.last; i++ {
			if g.InFlight > 0 {
				for s := range g.Senders {
					id := r.rooms[i].firstSender + s
					r.senders[id].flood = true
					for range g.InFlight {
						r.say(id, r.now())
					}
				}
				continue
			}
			period := 1e9 / g.Rate
			begin := at + time.Duration(period*float64(i-g.first)/float64(g.Rooms))
			heap.Push(&r.due, turn{due: begin, room: i, begin: begin, period: period})
		}
	}
	r.flush()
}

// sayDue says what is due and returns when it wants to be called again.
func (r *run) sayDue(now time.Duration) time.Duration {
	for r.sending && len(r.due) > 0 {
		t := &r.due[0]
		if t.due > now || r.until > 0 && t.due >= r.until {
			break
		}
		rm := &r.rooms[t.room]
		r.say(rm.firstSender+t.n%len(rm.next), t.due)
		t.n++
		t.due = t.begin + time.Duration(t.period*float64(t.n))
		heap.Fix(&r.due, 0)
	}
	r.flush()
	if !r.sending || len(r.due) == 0 {
		return math.MaxInt64
	}
	return r.due[0].due
}

// load runs the senders: everybody found to be there, warm-up, measurement, and until the last delivery.
func (r *run) load() error {
	if err := r.sync(); err != nil {
		return err
	}
	for i := range r.conns {
		if r.conns[i].stalled {
			r.sockets.set(i, silent)
		}
	}
	begin := r.now()
	r.phase = "warming up"
	r.from = begin + r.opts.WarmUp
	r.until = r.from + r.opts.Duration
	never := func() bool { return r.ended() }
	r.start(begin)
	if _, err := r.step(never, r.from); err != nil {
		return err
	}
	r.phase = "measuring"
	r.begin(r.from)
	if _, err := r.step(never, r.until); err != nil {
		return err
	}
	if r.ctx.Err() != nil {
		r.until = r.now()
	}
	r.sayDue(r.until) // what this side was late with
	r.sending = false
	if len(r.due) == 0 {
		r.finish() // a flood: what arrived within the time
	}
	r.phase = "waiting for the rest"
	r.settle()
	if len(r.due) > 0 {
		r.finish() // open loop: whatever it took to deliver all
	}
	r.judge()
	return r.release()
}

// ended tells that nobody is left to measure.
func (r *run) ended() bool { return r.open == 0 }

// settle waits for all that is under way, for as long as something moves but no longer than the run itself, ten seconds at least.
func (r *run) settle() {
	ctx := r.ctx
	defer func() { r.ctx = ctx }()
	r.ctx = noContext
	limit := r.now() + max(r.opts.patience, r.opts.Duration)
	for r.moved = r.now(); ; {
		last := r.arrived
		ok, err := r.step(func() bool { return r.arrived >= r.expected || r.ended() }, min(limit, r.now()+r.opts.patience/4))
		if ok || err != nil || r.now() >= limit || r.arrived == last {
			return
		}
	}
}
