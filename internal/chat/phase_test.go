package chat

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// standing returns an error if the session is in a combination that the table of phases does not list.
func (s *session) standing() error {
	v, isV1 := s.form.(*v1)
	decided := s.ending.decided()
	for _, rule := range []struct {
		what string
		ok   bool
	}{
		{"leaving or later without a reason", s.phase < leaving || decided},
		{"live although it is to be closed", s.phase != live || !decided},
		{"raw, and catching up", isV1 || s.phase <= asking || s.phase >= live},
		{"doyasa.v1, not live yet, and without an arrival", !isV1 || s.phase >= live || v.arrival != nil},
		{"doyasa.v1, live or leaving, and still with its arrival", !isV1 || s.phase < live || s.phase > left || v.arrival == nil},
		{"without a member and not closing", s.member != nil || s.phase == closing},
		{"charged without a message", !s.charged || s.unsent != nil},
		{"input held although nothing more is read", s.ending == nil || len(s.held) == 0 && s.in == nil},
		{"a message waits although it has left", s.unsent == nil || s.phase != left && s.phase != closing},
		{"bytes reserved without an answer", !isV1 || (s.reserved == 0) == (len(v.answers) == 0)},
		{"frames wait for a hello that has been sent", !isV1 || v.arrival == nil || s.phase != catchingUp && s.phase != handingOver || len(v.arrival.afterHello) == 0},
		{"messages of a page, and another page is read", !isV1 || v.arrival == nil || !v.arrival.reading || len(v.arrival.owed) == 0},
		{"beats of the raw form", isV1 || s.beats == 0},
	} {
		if !rule.ok {
			return fmt.Errorf("phase %d: %s", s.phase, rule.what)
		}
	}
	return nil
}

// A step of a schedule: one client does something.
type step struct {
	what string
	who  int
}

var steps = []string{"raw", "v1", "v1", "resume", "refused", "say", "say", "much", "retry", "beats", "wrong", "close", "close", "violate", "cut", "read", "read", "wait", "long wait",
	"store", "deliver", "answer", "refuse", "fail pages", "panic"}

// TestPhases: whatever clients and the journal do, a session stands only where the table of phases lists it,
// its phase never goes back, each comes to its end, and nothing is left of it.
func TestPhases(t *testing.T) {
	any := rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(steps).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "who")}
	})
	reached := make(map[phase]int)
	for round := 0; round < 5 || round < 300 && len(reached) <= int(closing); round++ {
		rapid.Check(t, func(rt *rapid.T) {
			n := rapid.IntRange(1, 50).Draw(rt, "steps")
			schedule := rapid.SliceOfN(any, n, n).Draw(rt, "schedule")
			held := rapid.Bool().Draw(rt, "held")
			var wrong error
			synctest.Test(t, func(t *testing.T) { wrong = walk(t, schedule, held, reached) })
			if wrong != nil {
				rt.Fatal(wrong)
			}
		})
	}
	if len(reached) <= int(closing) {
		t.Errorf("sessions were seen in these phases only: %v", reached)
	}
}

// A stage has sessions, a journal that can be held up, and three clients.
type stage struct {
	*bench
	*watch
	journal *journaltest.Async
	refuse  atomic.Bool // the journal refuses messages
	fail    atomic.Bool // the journal fails to read pages
	clients [3]*conntest.Conn
	ports   [3]uint16 // of the clients, by which the test finds their sessions
	opened  uint16
}

// A watch is the sockets of the sessions. It checks each session after each call.
type watch struct {
	sockets
	mu      sync.Mutex
	reached map[phase]int // guarded by mu: how often a session was seen in a phase
	wrong   error         // guarded by mu: the first fault
}

// Serve implements sockets.
func (w *watch) Serve(nc net.Conn, early []byte, open func(loop.Conn) loop.Session) bool {
	return w.sockets.Serve(nc, early, func(c loop.Conn) loop.Session {
		return &watched{session: open(c).(*session), watch: w}
	})
}

// A watched session is checked after each call of the loop.
type watched struct {
	*session
	watch  *watch
	before phase
}

func (w *watched) check() {
	err := w.standing()
	if err == nil && w.phase < w.before {
		err = fmt.Errorf("phase %d after %d", w.phase, w.before)
	}
	w.before = w.phase
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	w.watch.reached[w.phase]++
	if w.watch.wrong == nil {
		w.watch.wrong = err
	}
}

func (w *watched) Feed(b []byte) error {
	defer w.check()
	return w.session.Feed(b)
}

func (w *watched) Due(bufs [][]byte) ([][]byte, error) {
	defer w.check()
	return w.session.Due(bufs)
}

func (w *watched) Wrote(n int) {
	defer w.check()
	w.session.Wrote(n)
}

func (w *watched) Tick(now time.Time) error {
	defer w.check()
	return w.session.Tick(now)
}

func (w *watched) Panicked(v any, stack []byte) []byte {
	defer w.check()
	return w.session.Panicked(v, stack)
}

// walk plays a schedule.
func walk(t *testing.T, schedule []step, held bool, reached map[phase]int) error {
	g := new(stage)
	failing := func(on *atomic.Bool) error {
		if on.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}
	g.journal = journaltest.NewAsync(journaltest.Options{Held: held, Keep: 3,
		Refuse: func(*hub.Message) error { return failing(&g.refuse) }, FailPage: func() error { return failing(&g.fail) }})
	g.bench = newBenchOn(t, hub.Options{Journal: g.journal, LogBytes: 3000, ChunkBytes: 1000, InboxBytes: 3000}, func(c *config.Config) {
		c.Limits.MessagesPerSecond, c.Limits.Burst, c.Limits.MessageBytes = 5, 10, 5000
	})
	g.Quotas.History = limit.NewQuota(limit.Rate{PerSecond: 0.2, Burst: 3})
	g.watch = &watch{sockets: g.Sessions.sockets, reached: reached}
	g.Sessions.sockets = g.watch
	for _, s := range schedule {
		g.do(s)
		synctest.Wait()
	}
	g.journal.Free()
	for _, c := range g.clients {
		if c != nil {
			c.Close()
		}
	}
	g.bench.shutdown(t)
	g.journal.Stop()
	if g.wrong != nil {
		return g.wrong
	}
	open, _ := g.Connections.Open()
	if lagging, lag := g.lag.members.Load(), g.lag.bytes.Load(); open != 0 || len(g.all) != 0 || g.Input.Total() != 0 || lagging != 0 || lag != 0 {
		return fmt.Errorf("%d connections, %d sessions, %d bytes of input, %d members that lag by %d bytes are left", open, len(g.all), g.Input.Total(), lagging, lag)
	}
	if n := g.Hub.Stats().Members; n != 0 {
		return fmt.Errorf("%d members are left", n)
	}
	return nil
}

func (g *stage) do(s step) {
	switch s.what {
	case "raw", "v1", "resume", "refused":
		g.connect(s.what, s.who)
	case "wait":
		time.Sleep(300 * time.Millisecond)
	case "long wait":
		time.Sleep(30 * time.Second)
	case "store":
		g.journal.Release(journaltest.Store, 2)
	case "deliver":
		g.journal.Release(journaltest.Deliver, 2)
	case "answer":
		g.journal.Release(journaltest.Answer, 2)
	case "refuse":
		g.refuse.Store(!g.refuse.Load())
	case "fail pages":
		g.fail.Store(!g.fail.Load())
	case "panic":
		g.Sessions.mu.Lock()
		defer g.Sessions.mu.Unlock()
		for victim := range g.all {
			if victim.port == g.ports[s.who] {
				victim.conn.Post(func() { panic("a bug") })
			}
		}
	default:
		if c := g.clients[s.who]; c != nil {
			g.act(c, s.what)
		}
	}
}

func (g *stage) connect(how string, who int) {
	if old := g.clients[who]; old != nil {
		old.Close()
	}
	g.opened++
	g.ports[who] = g.opened
	r := &Request{From: limit.Peer{Port: g.opened}, Room: "r", Name: "N", History: 2, V1: how != "raw"}
	switch how {
	case "resume":
		r.Resume = true
		g.Hub.Page("r", hub.PageQuery{Limit: 1}, func(p hub.Page, err error) { r.Epoch, r.After = p.Epoch, max(p.Head, 3)-3 })
		synctest.Wait()
	case "refused":
		r.Refusal = BadRoom
	}
	peer, nc := conntest.Pair(1500)
	g.Connections.Reserve(r.From.Network())
	g.Sessions.Serve(nc, nil, r)
	g.clients[who] = peer
}

func (g *stage) act(c *conntest.Conn, what string) {
	say := `{"type":"say","text":"hello"}`
	var b []byte
	switch what {
	case "say":
		b = frame(wsproto.OpText, say)
	case "much":
		for range 12 {
			b = append(b, frame(wsproto.OpText, fmt.Sprintf(`{"type":"say","text":"%0400d"}`, 0))...)
		}
	case "retry":
		b = frame(wsproto.OpText, `{"type":"say","text":"again","id":"`+someID+`"}`)
	case "beats":
		for range 20 {
			b = append(b, frame(wsproto.OpText, `{"type":"beat"}`)...)
			b = append(b, frame(wsproto.OpPing, "p")...)
		}
	case "wrong":
		for range 4 {
			b = append(b, frame(wsproto.OpText, `wrong`)...)
		}
	case "close":
		b = append(frame(wsproto.OpText, say), frame(wsproto.OpClose, "\x03\xe8")...)
	case "violate":
		b = append(frame(wsproto.OpText, say), 0x81, 0x00)
	case "cut":
		c.Close()
		return
	case "read":
		buf := make([]byte, 4096)
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}
	c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	c.Write(b)
}
