package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doyasa/doyasa/wsproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testMembers  = 8
	testMessages = 40
)

// small is a run that takes a fifth of a second: 40 messages to 8 members in one room.
func small(address string) Options {
	return Options{
		Address: address, Path: "/", Size: 64, Duration: 200 * time.Millisecond, patience: 8 * time.Second,
		Groups: []Group{{Rooms: 1, Members: testMembers, Senders: 2, Rate: testMessages * 5}},
	}
}

func mustRun(t *testing.T, o Options) *Report {
	t.Helper()
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// both runs a test on the system's event queue and on goroutines, the latter not with go test -short.
func both(t *testing.T, f func(t *testing.T, portable bool)) {
	t.Run("events", func(t *testing.T) { f(t, false) })
	t.Run("portable", func(t *testing.T) {
		if testing.Short() {
			t.Skip("make test-all runs this test")
		}
		f(t, true)
	})
}

// Two messages of one sender swapped for all: each receiver sees the same order, and yet it is not the sender's.
func TestSwappedForAll(t *testing.T) {
	s := &faulty{t: t}
	held := make(map[int][]byte) // by member; guarded by s.mu
	s.fault = func(_ *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
		switch n {
		case 20:
			held[member] = frame
			return nil
		case 21:
			return [][]byte{frame, held[member]}
		}
		return [][]byte{frame}
	}
	o := small(s.start())
	o.Groups[0].Senders = 1
	check(t, mustRun(t, o), FaultReport{Reordered: 1})
}

// A message in the wrong room is a fault, and no loss where it belongs.
func TestStrayed(t *testing.T) {
	s := &faulty{t: t}
	done := false // guarded by s.mu
	s.fault = func(_ *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
		if other := s.rooms["bench-0-1"]; !done && n == 20 && other != nil {
			done = true
			for _, nc := range s.rooms["bench-0-0"].members[:1] {
				nc.Write(frame)
			}
			for _, nc := range other.members[:1] {
				nc.Write(frame)
			}
		}
		return [][]byte{frame}
	}
	o := small(s.start())
	o.Groups[0] = Group{Rooms: 2, Members: testMembers / 2, Senders: 1, Rate: testMessages * 5}
	rep := mustRun(t, o)
	// One of the two is where it belongs and doubled there, whichever room was first.
	check(t, rep, FaultReport{Strayed: 1, Doubled: 1})
}

// A connection that the server ends is a fault, with the reason that the server gave; what it missed is lost.
func TestClosed(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		s := &faulty{t: t}
		s.fault = func(_ *faulty, member, n int, frame []byte, nc net.Conn) [][]byte {
			switch {
			case n < 20 || member != s.rooms["bench"].listener():
				return [][]byte{frame}
			case n == 20:
				nc.Write(wsproto.AppendCloseFrame(nil, nil, wsproto.CloseTryAgainLater, "overtaken"))
				nc.(*net.TCPConn).CloseWrite()
			}
			return nil
		}
		o := small(s.start())
		o.portable = portable
		rep := mustRun(t, o)
		check(t, rep, FaultReport{Closed: 1, Lost: testMessages - 19})
		if !strings.Contains(strings.Join(rep.Broken, "\n"), "Close 1013 overtaken") {
			t.Errorf("broken promises %q do not tell the reason", rep.Broken)
		}
	})
}

// A server that breaks the protocol is not listened to any longer.
func TestMaskedByServer(t *testing.T) {
	s := &faulty{t: t}
	s.fault = func(_ *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
		if n == 20 && member == s.rooms["bench"].listener() {
			frame = wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}, frame[2:])
		}
		return [][]byte{frame}
	}
	check(t, mustRun(t, small(s.start())), FaultReport{Closed: 1, Lost: testMessages - 19})
}

// A flood keeps its messages under way and no more, and all that was said arrives.
func TestFlood(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		s := &faulty{t: t}
		o := small(s.start())
		o.portable = portable
		o.Groups[0].Rate, o.Groups[0].InFlight = 0, 4
		rep := mustRun(t, o)
		check(t, rep, FaultReport{})
		if rep.Deliveries == 0 || rep.PerSecond == 0 {
			t.Errorf("%d deliveries, %f a second", rep.Deliveries, rep.PerSecond)
		}
	})
}

// Messages joined by newlines count one by one.
func TestJoined(t *testing.T) {
	s := &faulty{t: t}
	joined := make(map[int][]byte) // by member; guarded by s.mu
	s.fault = func(_ *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
		if n%4 != 0 {
			joined[member] = append(append(joined[member], frame[2:]...), '\n')
			return nil
		}
		p := append(joined[member], frame[2:]...)
		joined[member] = nil
		return [][]byte{textFrame(p)}
	}
	o := small(s.start())
	o.Joined = true
	rep := mustRun(t, o)
	check(t, rep, FaultReport{})
	if want := int64(testMessages * testMembers); rep.Deliveries != want {
		t.Errorf("%d deliveries, want %d", rep.Deliveries, want)
	}
}

// Members that stop reading are not judged, and those that the server let go are told from those that it kept.
func TestStalled(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		s := &faulty{t: t}
		o := small(s.start())
		o.portable = portable
		o.Groups[0].Stalled = 2
		rep := mustRun(t, o)
		check(t, rep, FaultReport{})
		if rep.Stalled != 2 || rep.StalledGone != 0 {
			t.Errorf("%d stalled, %d of them gone; want 2, 0", rep.Stalled, rep.StalledGone)
		}
		if want := int64(testMessages * (testMembers - 2)); rep.Deliveries != want {
			t.Errorf("%d deliveries, want %d", rep.Deliveries, want)
		}
	})
}

// listenAnd serves each connection with f, until the test ends.
func listenAnd(t *testing.T, f func(nc net.Conn)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}) // closed when the test ends
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				f(nc)
				<-ended
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(ended)
		running.Wait()
	})
	return l.Addr().String()
}

// Nothing can be measured: the error says what was tried and what is there instead.
func TestCannotConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	answer := func(text string) func(net.Conn) {
		return func(nc net.Conn) { nc.Write([]byte(text)) }
	}
	silent := listenAnd(t, func(net.Conn) {})
	for _, tt := range []struct {
		name, address, want string
		unreachable         bool
	}{
		{"nobody", nobody, "cannot connect to " + nobody + ": ", true},
		{"a server that is silent", silent, silent + " accepts connections, but answered none of 8 WebSocket handshakes", false},
		{"another path", listenAnd(t, answer("HTTP/1.1 404 Not Found\r\n\r\n")), "is / the path of the server's WebSocket endpoint?", false},
		{"TLS", listenAnd(t, answer("\x15\x03\x01\x00\x02\x02\x46\r\n\r\n")), "an HTTP server without TLS?", false},
		{"full", listenAnd(t, answer("HTTP/1.1 503 Service Unavailable\r\n\r\n")), "the server takes no more connections", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, portable bool) {
				o := small(tt.address)
				o.portable, o.patience = portable, 200*time.Millisecond
				_, err := Run(t.Context(), o)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				failed, ok := errors.AsType[*ConnectError](err)
				if ok != tt.unreachable || ok && failed.Address.String() != nobody {
					t.Errorf("%#v: is a ConnectError with the address: %v, want %v", err, ok, tt.unreachable)
				}
			})
		})
	}
}

// Only while the server has accepted no connection is it asked whether it runs.
func TestConnectError(t *testing.T) {
	refused := &ConnectError{netip.MustParseAddrPort("127.0.0.1:3000"), errors.New("connection refused")}
	for _, tt := range []struct {
		reached bool
		open    int
		failed  string // of the third connection
		silent  string // when nothing answers
	}{
		{false, 0, "cannot connect to 127.0.0.1:3000: connection refused", "cannot connect to 127.0.0.1:3000: nothing answered for 2s"},
		{true, 2, "connection 3 of 8: connection refused", "the server made 2 of 8 connections, then answered no other for 2s"},
	} {
		r := &run{ctx: t.Context(), target: refused.Address, opts: Options{patience: 2 * time.Second}, conns: make([]conn, 8), reached: tt.reached, open: tt.open}
		for want, err := range map[string]error{tt.failed: r.connectFailed(2, refused), tt.silent: r.notConnected()} {
			if _, ok := errors.AsType[*ConnectError](err); err.Error() != want || ok == tt.reached {
				t.Errorf("%q, a ConnectError: %v; want %q, %v", err, ok, want, !tt.reached)
			}
		}
	}
}

// Every phase is shown when it begins, in order.
func TestProgress(t *testing.T) {
	s := &faulty{t: t}
	for _, tt := range []struct {
		idle    bool
		stalled int
		want    string
	}{
		{false, 0, "connecting, joining, warming up, measuring, settling"},
		{false, 2, "connecting, joining, warming up, measuring, settling, asking the stalled"},
		{true, 0, "connecting, holding idle connections"},
	} {
		o := small(s.start())
		o.Idle, o.Groups[0].Stalled, o.WarmUp = tt.idle, tt.stalled, 50*time.Millisecond
		var phases []string
		o.Progress = func(p Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
				length := map[string]time.Duration{phaseWarmingUp: o.WarmUp, phaseMeasuring: o.Duration, phaseIdle: o.Duration}[p.Phase]
				if p.Want != testMembers || p.Length != length || p.Phase != phaseConnecting && p.Open != testMembers {
					t.Errorf("%+v", p)
				}
			}
		}
		mustRun(t, o)
		if got := strings.Join(phases, ", "); got != tt.want {
			t.Errorf("phases %s, want %s", got, tt.want)
		}
	}
}

// An interrupted run still reports on what there was.
func TestInterrupted(t *testing.T) {
	s := &faulty{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	s.fault = func(_ *faulty, _, n int, frame []byte, _ net.Conn) [][]byte {
		if n == 20 {
			cancel()
		}
		return [][]byte{frame}
	}
	o := small(s.start())
	o.Duration = time.Hour
	rep, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	check(t, rep, FaultReport{})
	if !rep.Interrupted || rep.Sent < 20 || rep.Deliveries != rep.Sent*testMembers {
		t.Errorf("interrupted %v, %d messages, %d deliveries", rep.Interrupted, rep.Sent, rep.Deliveries)
	}
}

// Latency counts from when a message was due, also when this side is what was late: nothing is left out because it waited.
func TestCoordinatedOmission(t *testing.T) {
	const pause = 200 * time.Millisecond
	o := small((&faulty{t: t}).start())
	o.Duration = 800 * time.Millisecond
	paused := false
	o.Progress = func(p Progress) {
		if p.Phase == "measuring" && !paused {
			paused = true
			time.Sleep(pause) // the loop stands still for as long
		}
	}
	rep := mustRun(t, o)
	check(t, rep, FaultReport{})
	if got := rep.Groups[0].Delivery; !paused || rep.Sent != testMessages*4 || got.Max < us(pause)*0.9 {
		t.Errorf("%d messages with a latency of %.0f µs at most; want %d and about the pause of %v", rep.Sent, got.Max, testMessages*4, pause)
	}
}
