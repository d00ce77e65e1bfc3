package loop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// What every loop does, over TCP. The clock is the real one, so these tests check only how long something takes at least; the tests
// of Portable on a fake clock check the exact times.

type looper interface {
	Serve(nc net.Conn, early []byte, open func(Conn) Session) bool
	Shutdown(ctx context.Context) error
	Stats() Stats
}

// loops are the loops to be tested, by name.
var loops = map[string]func(Options) looper{
	"portable": func(o Options) looper { return NewPortable(o) },
}

// onEach runs f with each loop, and ends the connections that f leaves.
func onEach(t *testing.T, o Options, f func(t *testing.T, l looper)) {
	for name, start := range loops {
		t.Run(name, func(t *testing.T) {
			l := start(o)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			defer l.Shutdown(ctx)
			f(t, l)
		})
	}
}

// until waits until condition, which reads fields of r, is true. It fails after a long time.
func (r *recorder) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		ok := condition()
		r.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s; fed %.40q, closed %v", what, r.fed, r.closed)
		}
	}
}

// over lets l serve one end of a TCP connection with a recorder, and returns that and the other end.
func over(t *testing.T, l looper, early string) (*recorder, *net.TCPConn) {
	t.Helper()
	peer, nc := tcp(t)
	return serve(t, l, nc, early), peer
}

// much is more than a connection over loopback can buffer.
var much = strings.Repeat("0123456789abcdef", 1<<20)

// tcp returns both ends of a connection over loopback.
func tcp(t *testing.T) (peer, nc *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestDueOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		for _, c := range []struct {
			text  string
			chunk int
		}{
			{"abcdefg", 3},
			{much[:1000], 1}, // more buffers than one system call writes
			{much, 100_000},
		} {
			r.set(func() { r.pending, r.chunk = []byte(c.text), c.chunk })
			expect(t, peer, c.text)
			r.until(t, "all is written", func() bool { return len(r.pending) == 0 })
		}
	})
}

func TestEarlyBytesOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		peer, nc := tcp(t)
		peer.Write([]byte("socket"))
		r := serve(t, l, nc, "early ")
		r.until(t, "all has been fed", func() bool { return string(r.fed) == "early socket" })
	})
}

// A Post or a Wake that comes while the session is being made is not lost.
func TestPostBeforeTheSessionIsThere(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		peer, nc := tcp(t)
		r := &recorder{t: t, gone: make(chan struct{})}
		l.Serve(nc, nil, func(c Conn) Session {
			r.conn = c
			c.Wake()
			c.Post(func() { r.pending = append(r.pending, "first "...) })
			c.Post(func() { r.pending = append(r.pending, "second"...) })
			return r
		})
		expect(t, peer, "first second")
	})
}

func TestPostOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		for i := range 100 {
			r.conn.Post(func() {
				r.mu.Lock()
				r.pending = append(r.pending, byte(i))
				r.mu.Unlock()
			})
		}
		want := make([]byte, 100)
		for i := range want {
			want[i] = byte(i)
		}
		expect(t, peer, string(want))
		peer.Close()
		<-r.gone
		r.conn.Post(func() { t.Error("a function posted after the end ran") })
		r.conn.Wake()
	})
}

// A paused session is not fed, so the peer's writes come to a stop, and nothing is lost.
func TestPausedOverTCP(t *testing.T) {
	onEach(t, Options{Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		r.set(func() { r.paused = true })
		fed := make(chan error)
		go func() {
			_, err := peer.Write([]byte(much))
			fed <- err
		}()
		select {
		case <-fed:
			t.Error("the peer wrote everything to a session that is paused")
		case <-time.After(200 * time.Millisecond):
		}
		r.mu.Lock() // for the read that was in progress when the session paused
		if len(r.fed) > largeRead {
			t.Errorf("fed %d bytes while paused", len(r.fed))
		}
		r.paused = false // without a Wake: the tick notices
		r.mu.Unlock()
		if err := <-fed; err != nil {
			t.Error(err)
		}
		r.until(t, "all has been fed", func() bool { return len(r.fed) == len(much) })
		if string(r.fed) != much {
			t.Error("fed something else than the peer wrote")
		}
		r.set(func() { r.paused = true })
		peer.Write([]byte("a"))
		r.set(func() { r.paused = false })
		r.until(t, "the rest has been fed", func() bool { return len(r.fed) == len(much)+1 })
	})
}

func TestErrSlowOverTCP(t *testing.T) {
	const slow = 100 * time.Millisecond
	onEach(t, Options{SlowTimeout: slow, Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
		began := time.Now()
		r, _ := over(t, l, "")
		r.send(much)
		<-r.gone
		if err, _ := r.ended(); !errors.Is(err, ErrSlow) || time.Since(began) < slow {
			t.Errorf("a peer that reads nothing: closed with %v after %v, want ErrSlow after %v", err, time.Since(began), slow)
		}
	})
}

func TestEndOverTCP(t *testing.T) {
	onEach(t, Options{Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		began := time.Now()
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("the peer read %d, %v after the end, want EOF", n, err)
		}
		peer.Write([]byte("late"))
		r.conn.Post(func() { t.Error("a function posted after the end ran") })
		<-r.gone
		if err, _ := r.ended(); err != nil || time.Since(began) < drainTimeout-100*time.Millisecond {
			t.Errorf("closed with %v after %v, want nil after 1 s", err, time.Since(began))
		}

		both, peer := over(t, l, "")
		both.set(func() { both.end = io.EOF })
		peer.Read(make([]byte, 1))
		peer.Close()
		<-both.gone
		if err, _ := both.ended(); err != nil {
			t.Errorf("closed with %v, want nil", err)
		}
	})
}

// Draining ends although the peer goes on sending.
func TestDrainIsBounded(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		r.set(func() { r.end = io.EOF })
		peer.Read(make([]byte, 1))
		for err := error(nil); err == nil; {
			_, err = peer.Write([]byte(much[:100_000]))
		}
		<-r.gone
		if err, _ := r.ended(); err != nil {
			t.Errorf("closed with %v, want nil", err)
		}
	})
}

// However fast the peer sends, draining reads maxDrain bytes at most, and lasts a second all the same.
func TestDrainReadsNoMoreThanAMessage(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		began := time.Now()
		r.set(func() { r.end = io.EOF })
		peer.Read(make([]byte, 1))
		for err := error(nil); err == nil; {
			_, err = peer.Write(bytes.Repeat([]byte("x"), 1<<20))
		}
		<-r.gone
		if err, _ := r.ended(); err != nil || time.Since(began) < drainTimeout-100*time.Millisecond {
			t.Errorf("closed with %v after %v, want nil after 1 s", err, time.Since(began))
		}
		if read := l.Stats().ReadBytes; read > maxDrain+2*largeRead {
			t.Errorf("%d bytes are read from a peer that sends without end, want at most %d and a buffer", read, maxDrain)
		}
	})
}

// A panic in open reaches the caller of Serve. The loop goes on, the Conn that open was given does nothing, and Shutdown does not wait
// for it.
func TestPanicInOpen(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		peer, nc := tcp(t)
		var handle Conn
		func() {
			defer func() {
				if v := recover(); v != "trip in open" {
					t.Errorf("Serve panicked with %v, want what open did", v)
				}
			}()
			l.Serve(nc, nil, func(c Conn) Session { handle = c; panic("trip in open") })
		}()
		nc.Close()
		handle.Wake()
		handle.Post(func() { t.Error("a function posted to no connection ran") })
		if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer read %d, %v, want EOF: nobody has the connection any more", n, err)
		}
		r, other := over(t, l, "")
		r.send("alive")
		expect(t, other, "alive")
		r.set(func() { r.end = io.EOF })
		other.Read(make([]byte, 1))
		other.Close()
		<-r.gone
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
	})
}

// A panic ends the connection of the session that panicked, after its last words, and no other.
func TestPanicOverTCP(t *testing.T) {
	for _, method := range []string{"Feed", "Paused", "Due", "Wrote", "Tick", "posted", "Closed"} {
		t.Run(method, func(t *testing.T) {
			onEach(t, Options{Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
				good, goodPeer := over(t, l, "")
				r, peer := over(t, l, "")
				r.set(func() { r.panics = method })
				switch method {
				case "Feed", "Paused":
					io.WriteString(peer, "x")
				case "Wrote":
					r.send("sent ")
					expect(t, peer, "sent ")
				case "posted":
					r.conn.Post(func() { r.trip("posted") })
				case "Closed":
					peer.Close()
				}
				if method != "Closed" {
					expect(t, peer, "last words")
					if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
						t.Errorf("after its last words %d bytes, %v, want EOF", n, err)
					}
					peer.Close()
				}
				<-r.gone
				if err, _ := r.ended(); !errors.Is(err, ErrPanicked) && method != "Closed" {
					t.Errorf("closed with %v, want ErrPanicked", err)
				}
				if len(r.panicky) != 1 {
					t.Errorf("told of %v, want what it panicked with, once", r.panicky)
				}
				good.send("alive")
				expect(t, goodPeer, "alive")
			})
		})
	}
}

func TestStatsOverTCP(t *testing.T) {
	onEach(t, Options{Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "early")
		gone, other := over(t, l, "")
		gone.send("abc")
		expect(t, other, "abc")
		other.Close()
		<-gone.gone
		stats := func() Stats { return l.Stats() }
		r.until(t, "all is counted", func() bool {
			s := stats()
			return s.Connections == 1 && s.Reads == 1 && s.ReadBytes == 5 && s.Writes == 1 && s.WrittenBytes == 3
		})
		r.send(much)
		r.until(t, "a write stands", func() bool { return stats().Blocked == 1 })
		expect(t, peer, much)
		r.until(t, "none does", func() bool { s := stats(); return s.Blocked == 0 && s.WrittenBytes == int64(3+len(much)) })
	})
}

func TestPeerGoesFirstOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		peer.Write([]byte("last words"))
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != io.EOF || string(r.fed) != "last words" {
			t.Errorf("closed with %v, fed %q, want EOF after the last words", err, r.fed)
		}
		reset, peer := over(t, l, "")
		peer.SetLinger(0)
		peer.Close()
		<-reset.gone
		if err, _ := reset.ended(); err == nil {
			t.Error("closed with nil, want the reset")
		}
	})
}

func TestFeedErrorOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		r.set(func() { r.feed = errors.New("enough") })
		peer.Write([]byte("one"))
		r.until(t, "it has been fed", func() bool { return r.feeds == 1 })
		peer.Write([]byte("two"))
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		peer.Read(make([]byte, 1)) // the end
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != nil || r.feeds != 1 {
			t.Errorf("closed with %v after %d calls of Feed, want nil after 1", err, r.feeds)
		}
	})
}

func TestErrorsOfTheSessionOverTCP(t *testing.T) {
	broken := errors.New("broken")
	for name, set := range map[string]func(*recorder){
		"Due":                         func(r *recorder) { r.end = broken },
		"Tick":                        func(r *recorder) { r.tick = broken },
		"Tick during a blocked write": func(r *recorder) { r.pending, r.tick = []byte(much), broken },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, Options{Tick: 5 * time.Millisecond}, func(t *testing.T, l looper) {
				r, _ := over(t, l, "")
				r.set(func() { set(r) })
				<-r.gone
				if err, _ := r.ended(); err != broken {
					t.Errorf("closed with %v, want %v", err, broken)
				}
			})
		})
	}
}

// A Waker wakes all connections that follow its key, and no longer those that have followed another key since.
func TestFollow(t *testing.T) {
	onEach(t, Options{Tick: time.Hour}, func(t *testing.T, l looper) {
		const members = 1000 // a sweep takes several turns of a lane
		var mu sync.Mutex
		wakers := make(map[Waker]int)
		var all []*recorder
		var peers []*net.TCPConn
		for i := range members {
			r, peer := over(t, l, "")
			all, peers = append(all, r), append(peers, peer)
			followed := make(chan int)
			r.conn.Post(func() {
				r.mu.Lock()
				rests := r.rests
				r.mu.Unlock()
				r.conn.Follow("before")
				w := r.conn.Follow(i % 2)
				mu.Lock()
				if old, known := wakers[w]; known && old != i%2 {
					t.Error("two keys have one waker")
				}
				wakers[w] = i % 2
				mu.Unlock()
				followed <- rests
			})
			rests := <-followed
			r.until(t, "it was asked after that", func() bool { return r.rests > rests })
		}
		tell := func(key int, text string) {
			for _, r := range all {
				r.mu.Lock()
				r.pending = append(r.pending, text...)
				r.mu.Unlock()
			}
			for w, k := range wakers {
				if k == key {
					w.Wake()
				}
			}
		}
		tell(0, "a")
		for i := 0; i < members; i += 2 {
			expect(t, peers[i], "a")
		}
		for i := 1; i < members; i += 2 {
			all[i].mu.Lock()
			woken := len(all[i].wrote) > 0
			all[i].mu.Unlock()
			if woken {
				t.Fatalf("connection %d, which follows another key, was woken", i)
			}
		}
		// Some members leave while the rest are woken.
		for i := 0; i < members; i += 4 {
			peers[i].Close()
		}
		tell(0, "b")
		tell(1, "")
		for i := range members {
			switch {
			case i%4 == 0:
				<-all[i].gone
			case i%2 == 0:
				expect(t, peers[i], "b")
			default:
				expect(t, peers[i], "ab")
			}
		}
	})
}

func TestShutdownOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		r, peer := over(t, l, "")
		down := make(chan error)
		go func() { down <- l.Shutdown(context.Background()) }()
		for { // until Shutdown has begun
			_, nc := tcp(t)
			late := &recorder{t: t, gone: make(chan struct{})}
			if !l.Serve(nc, nil, func(c Conn) Session { late.conn = c; return late }) {
				nc.Close()
				break
			}
			late.set(func() { late.end = io.EOF })
		}
		select {
		case err := <-down:
			t.Fatalf("Shutdown = %v while there is a connection", err)
		case <-time.After(20 * time.Millisecond):
		}
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		peer.Read(make([]byte, 1)) // the end
		peer.Close()
		if err := <-down; err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
		if err, ok := r.ended(); !ok || err != nil {
			t.Errorf("Shutdown came back, Closed %v, want before with nil", r.closed)
		}
	})
}

func TestShutdownCutsOffOverTCP(t *testing.T) {
	onEach(t, Options{}, func(t *testing.T, l looper) {
		idle, _ := over(t, l, "")
		stuck, _ := over(t, l, "")
		stuck.send(much)
		paused, _ := over(t, l, "")
		paused.set(func() { paused.paused = true })
		draining, peer := over(t, l, "")
		draining.set(func() { draining.end = io.EOF })
		peer.Read(make([]byte, 1))
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := l.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v, want the context's error", err)
		}
		for _, r := range []*recorder{idle, stuck, paused} {
			if err, ok := r.ended(); !ok || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Closed with %v, want once with the context's error", r.closed)
			}
		}
		if err, ok := draining.ended(); !ok || err != nil {
			t.Errorf("Closed with %v, want once with nil: its source had ended", draining.closed)
		}
	})
}

// To close a socket that has unread input resets the TCP connection, and the peer loses what it has
// not read yet. The loop half-closes and drains first, so the peer loses nothing.
func TestLastBytesSurviveUnreadInput(t *testing.T) {
	onEach(t, Options{}, lastBytesSurviveUnreadInput)
}

func lastBytesSurviveUnreadInput(t *testing.T, l looper) {
	for range 20 {
		peer, nc := tcp(t)
		r := serve(t, l, nc, "")
		r.set(func() { r.feed = errors.New("enough") })
		unread := bytes.Repeat([]byte("x"), 100_000)
		if _, err := peer.Write(unread); err != nil {
			t.Fatal(err)
		}
		goodbye := strings.Repeat("bye", 10_000)
		r.set(func() { r.pending, r.end = []byte(goodbye), io.EOF })
		for range 10 { // before it reads anything
			if _, err := peer.Write(unread); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(peer)
		if err != nil || string(got) != goodbye {
			t.Fatalf("the peer read %d bytes, %v, want %d and the end", len(got), err, len(goodbye))
		}
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != nil {
			t.Errorf("closed with %v, want nil", err)
		}
	}
}

// Many connections are used at once, with Wake and Post from many goroutines: every byte arrives
// once and in order, both ways, and no two methods of a session run at once.
func TestManyConnections(t *testing.T) {
	onEach(t, Options{Tick: time.Millisecond}, manyConnections)
}

func manyConnections(t *testing.T, l looper) {
	const conns, size = 20, 200_000
	pattern := make([]byte, size)
	for i := range pattern {
		pattern[i] = byte(i * i >> 3)
	}
	var all sync.WaitGroup
	for range conns {
		peer, nc := tcp(t)
		r := serve(t, l, nc, "")
		all.Go(func() {
			for rest := pattern; len(rest) > 0; {
				n := min(len(rest), 777)
				r.conn.Post(func() {})
				r.send(string(rest[:n]))
				rest = rest[n:]
			}
			// Only now, because draining ends after a second even if the machine is busy.
			r.until(t, "all is read", func() bool { return len(r.fed) == size })
			r.set(func() { r.end = io.EOF })
		})
		all.Go(func() {
			peer.Write(pattern)
		})
		all.Go(func() {
			got, err := io.ReadAll(peer)
			if err != nil || !bytes.Equal(got, pattern) {
				t.Errorf("the peer read %d bytes, %v, want the %d that were due", len(got), err, size)
			}
			peer.CloseWrite()
			<-r.gone
			if !bytes.Equal(pattern, r.fed) {
				t.Errorf("fed %d bytes that are not the %d sent", len(r.fed), size)
			}
		})
	}
	all.Wait()
	if err := l.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
}
