package bench

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// A sender is a member that sends messages.
type sender struct {
	conn, room int
	issued     uint64 // how many messages the sender has sent
	flood      bool
}

// back is called when a sender receives its own message. In a flood the sender then sends its next message.
func (s *sender) back(r *run, id int, now time.Duration) {
	if s.flood && r.sending {
		r.say(id, now)
	}
}

// say appends a message to the output of its sender; flush writes the output.
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

// put appends the frame of one message to the output of connection i.
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

// pend appends a frame to the output of connection i.
func (r *run) pend(i int, op wsproto.Opcode, payload []byte) {
	h := wsproto.Header{Fin: true, Opcode: op, Masked: true, MaskingKey: newMaskingKey()}
	r.conns[i].out = wsproto.AppendFrame(r.outOf(i), h, payload)
}

// outOf returns the output of connection i so that the caller can append to it, and marks it for flush.
func (r *run) outOf(i int) []byte {
	c := &r.conns[i]
	if len(c.out) == 0 {
		r.dirty = append(r.dirty, i)
	}
	return c.out
}

// newMaskingKey returns a masking key from a fast generator, because a load has no secrets to protect.
func newMaskingKey() (key [4]byte) {
	binary.NativeEndian.PutUint32(key[:], rand.Uint32())
	return key
}

// flush writes the output of the connections that have something new to send.
func (r *run) flush() {
	for _, i := range r.dirty {
		r.writable(i)
	}
	r.dirty = r.dirty[:0]
}

// writable writes the output of connection i as far as its socket takes it.
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

// schedule is a heap of rooms, ordered by the time of their next message.
type schedule []turn

type turn struct {
	due    time.Duration
	room   int
	begin  time.Duration
	period float64 // ns
	n      int     // how many messages the room has been sent
}

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due < s[j].due }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(turn)) }
func (s *schedule) Pop() any          { panic("nothing leaves a schedule") }

// start lets the senders begin. The rooms of a group with a rate begin at times spread over one period. The rooms of a flood begin all at
// once.
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

// sayDue sends the messages that are due and returns the time at which it must be called again.
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

// load waits until all members have joined, runs the warm-up and the measurement, and waits for the last delivery.
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
	r.enter(phaseWarmingUp, r.opts.WarmUp)
	r.from = begin + r.opts.WarmUp
	r.until = r.from + r.opts.Duration
	never := func() bool { return r.ended() }
	r.start(begin)
	if _, err := r.step(never, r.from); err != nil {
		return err
	}
	r.enter(phaseMeasuring, r.opts.Duration)
	r.begin(r.from)
	if _, err := r.step(never, r.until); err != nil {
		return err
	}
	if r.ctx.Err() != nil {
		r.until = r.now()
	}
	r.sayDue(r.until) // send the messages that were due before the end, and that the loop has not sent yet
	r.sending = false
	if len(r.due) == 0 {
		r.finish() // the figures of a flood count what arrived before the end
	}
	r.enter(phaseSettling, 0)
	r.settle()
	if len(r.due) > 0 {
		r.finish() // the figures of a rate count until everything is delivered
	}
	r.judge()
	return r.release()
}

// ended reports that no connection is left.
func (r *run) ended() bool { return r.open == 0 }

// settle waits until the messages on their way have arrived. It gives up when there is no progress, or when it has waited for as long as
// the measurement or patience, whichever is longer.
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
