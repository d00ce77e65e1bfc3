package loop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/doyasa/doyasa/internal/conntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A recorder is a session that does what a test tells it. It fails the test when two methods run
// at once, or when one is called that must not be called any more.
type recorder struct {
	t      *testing.T
	conn   Conn
	inside atomic.Bool
	gone   chan struct{} // says that the connection has ended; the last call closes it

	mu      sync.Mutex // guards the fields below
	pending []byte     // due, in pieces of chunk bytes
	chunk   int        // 0: one piece
	end     error      // result of Due, once nothing is pending
	over    bool       // Due has returned io.EOF
	feed    error      // result of Feed
	tick    error      // result of Tick
	paused  bool
	fed     []byte
	feeds   int
	wrote   []int
	rests   int // how often nothing was due
	closed  []error
	panics  string // the method that is to panic
	panicky []any  // the values that Panicked was called with
}

// enter and leave are called at the beginning and the end of every method.
func (r *recorder) enter() {
	if !r.inside.CompareAndSwap(false, true) {
		r.t.Error("two methods of a session at a time")
	}
	r.mu.Lock()
	if len(r.closed) > 0 {
		r.t.Error("a method of a session was called after Closed")
	}
}

// trip checks that method may still be called, and panics if the test wants that.
func (r *recorder) trip(method string) {
	if r.over && method != "Closed" {
		r.t.Errorf("%s was called after Due had returned io.EOF", method)
	}
	if r.panics == method {
		panic("trip in " + method)
	}
}

func (r *recorder) Panicked(v any, stack []byte) []byte {
	if v == "trip in Closed" {
		r.mu.Lock()
		defer r.mu.Unlock()
		defer close(r.gone)
	} else {
		r.enter()
		defer r.leave()
	}
	r.panicky = append(r.panicky, v)
	if !bytes.Contains(stack, []byte("recorder).trip")) {
		r.t.Errorf("the stack does not show where it panicked:\n%s", stack)
	}
	return []byte("last words")
}

func (r *recorder) leave() {
	r.mu.Unlock()
	r.inside.Store(false)
}

func (r *recorder) Feed(b []byte) error {
	r.enter()
	defer r.leave()
	r.trip("Feed")
	r.fed = append(r.fed, b...)
	r.feeds++
	clear(b) // Feed may change it
	return r.feed
}

func (r *recorder) Paused() bool {
	r.enter()
	defer r.leave()
	r.trip("Paused")
	return r.paused
}

func (r *recorder) Due(bufs [][]byte) ([][]byte, error) {
	r.enter()
	defer r.leave()
	r.trip("Due")
	if len(r.pending) == 0 {
		r.rests++
		r.over = r.end == io.EOF
		return bufs, r.end
	}
	if r.chunk == 0 {
		return append(bufs, r.pending), nil
	}
	return slices.AppendSeq(bufs, slices.Chunk(r.pending, r.chunk)), nil
}

func (r *recorder) Wrote(n int) {
	r.enter()
	defer r.leave()
	r.trip("Wrote")
	r.wrote = append(r.wrote, n)
	r.pending = r.pending[n:]
}

func (r *recorder) Tick(time.Time) error {
	r.enter()
	defer r.leave()
	r.trip("Tick")
	return r.tick
}

func (r *recorder) Closed(err error) {
	r.enter()
	defer r.leave()
	r.closed = append(r.closed, err)
	r.trip("Closed")
	close(r.gone)
}

// set changes what the session does, and wakes it.
func (r *recorder) set(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	r.conn.Wake()
}

func (r *recorder) send(s string) { r.set(func() { r.pending = append(r.pending, s...) }) }

// ended returns what Closed was called with; ok is false if it was not called once.
func (r *recorder) ended() (err error, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.closed) != 1 {
		return nil, false
	}
	return r.closed[0], true
}

// start lets l serve one end of a connection in memory with a recorder, and returns that and the
// other end.
func start(t *testing.T, l *Portable, capacity int, early string) (*recorder, *conntest.Conn) {
	peer, nc := conntest.Pair(capacity)
	return serve(t, l, nc, early), peer
}

func serve(t *testing.T, l looper, nc net.Conn, early string) *recorder {
	t.Helper()
	r := &recorder{t: t, gone: make(chan struct{})}
	if !l.Serve(nc, []byte(early), func(c Conn) Session { r.conn = c; return r }) {
		t.Fatal("Serve = false, want true")
	}
	return r
}

// inBubble runs f with a loop on a fake clock. synctest checks that no goroutine is left.
func inBubble(t *testing.T, o Options, f func(t *testing.T, l *Portable)) {
	synctest.Test(t, func(t *testing.T) {
		l := NewPortable(o)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		defer l.Shutdown(ctx)
		f(t, l)
	})
}

// expect reads as many bytes as want has, and checks that they are the same.
func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("the peer read %.40q, %v, want %.40q", got[:n], err, want)
	}
}

func TestDueGoesOutInOrder(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		r.set(func() { r.pending, r.chunk = []byte("abcdefg"), 3 })
		expect(t, peer, "abcdefg")
		r.send("hi")
		expect(t, peer, "hi")
		synctest.Wait()
		if want := []int{7, 2}; !slices.Equal(r.wrote, want) {
			t.Errorf("Wrote was called with %v, want %v: one write for everything due", r.wrote, want)
		}
	})
}

// A peer that reads little and seldom gets every byte once, and is not ended as slow.
func TestPartialWrites(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		text := strings.Repeat("0123456789abcdef", 10)
		r.set(func() { r.pending, r.chunk = []byte(text), 7 })
		for i := range len(text) {
			time.Sleep(4900 * time.Millisecond)
			expect(t, peer, text[i:i+1])
		}
		synctest.Wait()
		total := 0
		for _, n := range r.wrote {
			total += n
		}
		if _, gone := r.ended(); gone || total != len(text) {
			t.Errorf("Wrote adds up to %d, closed %v, want %d, open", total, r.closed, len(text))
		}
	})
}

func TestErrSlow(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, _ := start(t, l, 10, "")
		began := time.Now()
		r.send(strings.Repeat("x", 100))
		<-r.gone
		err, _ := r.ended()
		if took := time.Since(began); !errors.Is(err, ErrSlow) || took < 5*time.Second || took > 5750*time.Millisecond {
			t.Errorf("a peer that reads nothing: closed with %v after %v, want ErrSlow after 5 s and two or three ticks", err, took)
		}
	})
}

// SlowTimeout begins with the last byte that was written, not with the write.
func TestErrSlowCountsFromTheLastByte(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		r.send(strings.Repeat("x", 100))
		time.Sleep(4 * time.Second)
		expect(t, peer, "x")
		began := time.Now()
		<-r.gone
		err, _ := r.ended()
		if took := time.Since(began); !errors.Is(err, ErrSlow) || took < 5*time.Second || took > 5750*time.Millisecond {
			t.Errorf("closed with %v %v after the last byte, want ErrSlow after 5 s", err, took)
		}
	})
}

// When a session no longer wants to send what was blocked, no write is in progress, so the next
// one has the whole SlowTimeout.
func TestErrSlowIsOfOneWrite(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		r.send(strings.Repeat("x", 10))
		synctest.Wait() // the buffer is full
		r.send("no")
		time.Sleep(4 * time.Second)
		r.set(func() { r.pending = nil })
		time.Sleep(4 * time.Second)
		r.send("yes")
		time.Sleep(time.Second)
		expect(t, peer, strings.Repeat("x", 10)+"yes")
		if err, gone := r.ended(); gone {
			t.Errorf("closed with %v, want open", err)
		}
	})
}

func TestPausedIsNotRead(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		peer.Write([]byte("a"))
		synctest.Wait()
		// The read in progress goes on, and its bytes are fed.
		r.set(func() { r.paused = true })
		peer.Write([]byte("b"))
		synctest.Wait()
		peer.Write([]byte("c"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if string(r.fed) != "ab" {
			t.Errorf("paused after %q, then fed %q, want %q", "a", r.fed, "ab")
		}
		r.set(func() { r.paused = false })
		synctest.Wait()
		if string(r.fed) != "abc" {
			t.Errorf("no longer paused: fed %q, want %q", r.fed, "abc")
		}
		// The tick notices that a pause has ended without a Wake.
		r.set(func() { r.paused = true })
		peer.Write([]byte("d"))
		synctest.Wait()
		peer.Write([]byte("e"))
		r.mu.Lock()
		r.paused = false
		r.mu.Unlock()
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if string(r.fed) != "abcde" {
			t.Errorf("a tick later: fed %q, want %q", r.fed, "abcde")
		}
	})
}

func TestEarlyBytesComeFirst(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		peer, nc := conntest.Pair(1 << 10)
		peer.Write([]byte("socket"))
		r := serve(t, l, nc, "early ")
		synctest.Wait()
		if string(r.fed) != "early socket" {
			t.Errorf("fed %q, want %q", r.fed, "early socket")
		}
	})
}

func TestPostRunsThenAsks(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		var got []byte // only the posted functions touch it, one at a time
		for i := range 100 {
			r.conn.Post(func() {
				got = append(got, byte(i))
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
		synctest.Wait()
		if !bytes.Equal(got, want) {
			t.Errorf("posted functions ran as %v, want in order", got)
		}
		peer.Close()
		<-r.gone
		r.conn.Post(func() { t.Error("a function posted after the end ran") })
		r.conn.Wake()
		synctest.Wait()
	})
}

// When Due returns io.EOF everything has been written. The peer reads the end of the stream, and
// for a second what it sends is discarded.
func TestEndDrains(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		began := time.Now()
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("the peer read %d, %v after the end, want EOF", n, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("half-closed after %v, want at once", took)
		}
		if _, err := peer.Write([]byte("late")); err != nil {
			t.Errorf("the peer could not write while it was drained: %v", err)
		}
		<-r.gone
		if err, _ := r.ended(); err != nil || time.Since(began) != drainTimeout || len(r.fed) != 0 {
			t.Errorf("closed with %v after %v, fed %q, want nil after 1 s, nothing fed", err, time.Since(began), r.fed)
		}
		if _, err := peer.Write([]byte("later")); err == nil {
			t.Error("the peer could write to a closed connection")
		}
	})
}

// Draining ends when the peer closes as well.
func TestEndOfBoth(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		began := time.Now()
		r.set(func() { r.end = io.EOF })
		peer.Read(make([]byte, 1))
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != nil || time.Since(began) != 0 {
			t.Errorf("closed with %v after %v, want nil at once", err, time.Since(began))
		}
	})
}

// A connection that cannot half-close is closed.
func TestEndWithoutHalfClose(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		peer, nc := net.Pipe()
		r := serve(t, l, nc, "")
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		<-r.gone
		if err, _ := r.ended(); err != nil {
			t.Errorf("closed with %v, want nil", err)
		}
	})
}

func TestPeerGoesFirst(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 1<<10, "")
		peer.Write([]byte("last words"))
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != io.EOF || string(r.fed) != "last words" {
			t.Errorf("closed with %v, fed %q, want EOF after the last words", err, r.fed)
		}
	})
}

// After an error of Feed nothing is read until Due has returned io.EOF, so the peer's writes come to a stop.
func TestFeedErrorStopsReading(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 4, "")
		r.set(func() { r.feed = errors.New("enough") })
		peer.Write([]byte("one"))
		synctest.Wait()
		peer.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := peer.Write([]byte("too much")); n != 4 || err == nil {
			t.Errorf("the peer wrote %d, %v, want 4 and then stuck", n, err)
		}
		synctest.Wait()
		if string(r.fed) != "one" {
			t.Errorf("fed %q, want %q", r.fed, "one")
		}
		r.set(func() { r.pending, r.end = []byte("bye"), io.EOF })
		expect(t, peer, "bye")
		<-r.gone
		if err, _ := r.ended(); err != nil || r.feeds != 1 {
			t.Errorf("closed with %v after %d calls of Feed, want nil after 1", err, r.feeds)
		}
	})
}

func TestErrorsOfTheSession(t *testing.T) {
	broken := errors.New("broken")
	for name, set := range map[string]func(*recorder){
		"Due":  func(r *recorder) { r.end = broken },
		"Tick": func(r *recorder) { r.tick = broken },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, l *Portable) {
				r, peer := start(t, l, 10, "")
				r.set(func() { set(r) })
				<-r.gone
				if err, _ := r.ended(); err != broken {
					t.Errorf("closed with %v, want %v", err, broken)
				}
				if _, err := peer.Write([]byte("x")); err == nil {
					t.Error("the peer can still write")
				}
			})
		})
	}
}

// Tick is called also while a write is blocked.
func TestTickErrorEndsABlockedWrite(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, _ := start(t, l, 10, "")
		r.send(strings.Repeat("x", 100))
		time.Sleep(time.Second)
		broken := errors.New("broken")
		began := time.Now()
		r.set(func() { r.tick = broken })
		<-r.gone
		if err, _ := r.ended(); err != broken || time.Since(began) > 250*time.Millisecond {
			t.Errorf("closed with %v after %v, want %v at the next tick", err, time.Since(began), broken)
		}
	})
}

func TestShutdownWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewPortable(Options{})
		r, peer := start(t, l, 10, "")
		down := make(chan error)
		go func() { down <- l.Shutdown(context.Background()) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		select {
		case err := <-down:
			t.Fatalf("Shutdown = %v while there is a connection", err)
		default:
		}
		_, nc := conntest.Pair(1)
		if l.Serve(nc, nil, func(Conn) Session { t.Error("open was called"); return nil }) {
			t.Error("Serve after Shutdown = true, want false")
		}
		r.set(func() { r.end = io.EOF })
		if err := <-down; err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
		if err, ok := r.ended(); !ok || err != nil {
			t.Errorf("Shutdown came back, Closed %v, want before with nil", r.closed)
		}
		peer.Close()
		if err := l.Shutdown(context.Background()); err != nil {
			t.Errorf("second Shutdown = %v, want nil", err)
		}
	})
}

func TestShutdownCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewPortable(Options{})
		idle, _ := start(t, l, 10, "")
		stuck, _ := start(t, l, 10, "")
		stuck.send(strings.Repeat("x", 100))
		paused, _ := start(t, l, 10, "")
		paused.set(func() { paused.paused = true })
		draining, _ := start(t, l, 10, "")
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		draining.set(func() { draining.end = io.EOF })
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
