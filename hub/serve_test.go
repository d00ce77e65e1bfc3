package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// sink is a connection that keeps what is written to it. It blocks while it is full.
type sink struct {
	mu    sync.Mutex
	more  *sync.Cond
	got   bytes.Buffer // guarded by mu
	stuck bool         // guarded by mu
	err   error        // guarded by mu
}

func newSink() *sink {
	s := new(sink)
	s.more = sync.NewCond(&s.mu)
	return s
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.stuck {
		s.more.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.got.Write(p)
}

func (s *sink) set(stuck bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck, s.err = stuck, err
	s.more.Broadcast()
}

func (s *sink) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.got.Reset()
	return s.got.String()
}

// serving is a member that is served in a goroutine.
type serving struct {
	*hub.Member
	sink   *sink
	cancel context.CancelFunc
	ended  chan error // what Serve returned; its goroutine sends once, never closed
}

func serve(t *testing.T, h *hub.Hub, form *hub.Form) *serving {
	t.Helper()
	m, err := h.Join(room, form, hub.Author{Name: "A"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{Member: m, sink: newSink()}
	s.start(t)
	return s
}

func (s *serving) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel, s.ended = cancel, make(chan error, 1)
	go func() { s.ended <- s.Serve(ctx, s.sink) }()
}

// end returns what Serve returned, which it must have by now.
func (s *serving) end(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-s.ended:
		return err
	default:
		t.Fatal("Serve has not returned")
		return nil
	}
}

func (s *serving) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.sink.take(); got != want {
		t.Errorf("written %q, want %q", got, want)
	}
}

// Serve writes what is published from the join on, in order, also what was published
// before it was called, and ends as its comment says.
func TestServe(t *testing.T) {
	errBroken := errors.New("the connection is broken")
	for _, c := range []struct {
		name string
		end  func(*hub.Hub, *serving)
		last string // is still written
		want error
	}{
		{"the member leaves", func(h *hub.Hub, s *serving) {
			s.Say(text("last"))
			s.Leave()
			s.Leave()
		}, "last\n", nil},
		{"its context ends", func(h *hub.Hub, s *serving) { s.cancel() }, "", context.Canceled},
		{"its writer fails", func(h *hub.Hub, s *serving) {
			s.sink.set(false, errBroken)
			s.Say(text("x"))
		}, "", errBroken},
		{"the hub is closed", func(h *hub.Hub, s *serving) {
			s.Say(text("last"))
			h.Close()
		}, "last\n", hub.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(hub.Options{})
				defer h.Close()
				publish(t, h, room, text("before"))
				m, err := h.Join(room, lines, hub.Author{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				publish(t, h, room, text("1"))
				s := &serving{Member: m, sink: newSink()}
				s.start(t)
				publish(t, h, room, text("2"))
				s.want(t, "1\n2\n")
				publish(t, h, room, text("3"))
				s.want(t, "3\n")
				c.end(h, s)
				if err := s.end(t); !errors.Is(err, c.want) {
					t.Errorf("Serve = %v, want %v", err, c.want)
				}
				s.want(t, c.last)
				s.Leave()
			})
		})
	}
}

// After Leave, Serve writes up to the end of the membership and not what others say later,
// and it may be called as late as that.
func TestServeEndsWithTheMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		stays := serve(t, h, lines) // the log lives on
		m, err := h.Join(room, lines, hub.Author{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Say(text("mine"))
		m.Leave()
		synctest.Wait()
		publish(t, h, room, text("theirs"))
		var b strings.Builder
		if err := m.Serve(t.Context(), &b); err != nil || b.String() != "mine\n" {
			t.Errorf("Serve = %v, written %q, want mine alone", err, b.String())
		}
		stays.want(t, "mine\ntheirs\n")
		stays.cancel()
		stays.end(t)
	})
}

// A writer that is too slow is told so, never given a silent hole, and may go on.
func TestServeOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{LogBytes: 64, ChunkBytes: 64})
		defer h.Close()
		s := serve(t, h, lines)
		other := serve(t, h, lines)
		synctest.Wait()
		s.sink.set(true, nil)
		line := strings.Repeat("x", 40) + "\n"
		for range 10 {
			publish(t, h, room, text(line[:40]))
			other.want(t, line)
		}
		s.sink.set(false, nil)
		if err := s.end(t); !errors.Is(err, hub.ErrOvertaken) {
			t.Fatalf("Serve = %v, want %v", err, hub.ErrOvertaken)
		}
		if got := s.sink.take(); got == "" || strings.ReplaceAll(got, line, "") != "" {
			t.Errorf("written %q, want whole records", got)
		}
		if from, to := s.Cursor().Skip(); from > to || to != 10 {
			t.Errorf("skipped %d to %d, want up to 10", from, to)
		}
		s.start(t)
		publish(t, h, room, text("on"))
		s.want(t, "on\n")
		s.cancel()
		s.end(t)
		other.cancel()
		other.end(t)
	})
}

// A form that shows presence has its changes between the messages.
func TestServePresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		s := serve(t, h, told)
		s.want(t, `1 +["A"] -[]`)
		publish(t, h, room, text("x"))
		s.want(t, "x\n")
		time.Sleep(time.Second)
		join(t, h, room, lines, hub.Author{Name: "B"})
		s.want(t, `2 +["B"] -[]`)
		s.cancel()
		s.end(t)
	})
}

// While the room has not answered the join, Serve waits for it or for its context.
func TestServeBeforeJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		release := h.Hold(room)
		s := serve(t, h, lines)
		synctest.Wait()
		s.cancel()
		if err := s.end(t); !errors.Is(err, context.Canceled) {
			t.Errorf("Serve = %v, want %v", err, context.Canceled)
		}
		s.start(t)
		release()
		publish(t, h, room, text("x"))
		s.want(t, "x\n")
		s.cancel()
		s.end(t)
	})
}

func TestServeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{Journal: &unopenable{hub.NewMemory(hub.MemoryOptions{}), 1}})
		defer h.Close()
		s := serve(t, h, lines)
		if err := s.end(t); !errors.Is(err, errRefused) {
			t.Errorf("Serve = %v, want %v", err, errRefused)
		}
		s.Leave()
		owned, _ := join(t, h, room, lines, hub.Author{})
		if err := owned.Serve(t.Context(), io.Discard); err == nil {
			t.Error("Serve of a member with an Owner = nil, want an error")
		}
	})
}

// Serve allocates nothing for a message.
func TestServeDoesNotAllocate(t *testing.T) {
	perMessage := func(members int) float64 {
		h := hub.New(hub.Options{Journal: hub.NewMemory(hub.MemoryOptions{Messages: 10})})
		defer h.Close()
		all, _ := join(t, h, room, lines, hub.Author{}) // keeps a log in any case
		defer all.Leave()
		written := make(signal)
		for range members {
			m, err := h.Join(room, lines, hub.Author{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			go m.Serve(t.Context(), written)
		}
		return testing.AllocsPerRun(1000, func() {
			publish(t, h, room, &hub.Message{Payload: []byte("どやさ")})
			for range members {
				<-written
			}
		})
	}
	if none, ten := perMessage(0), perMessage(10); ten > none+1 {
		t.Errorf("%v allocations for a message without members, %v with ten, want the same", none, ten)
	}
}

// signal is a writer that reports each write.
type signal chan struct{}

func (s signal) Write(p []byte) (int, error) {
	s <- struct{}{}
	return len(p), nil
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A room that goes on talking does not keep a member that has left: nothing that is said after the end of its membership is written.
func TestServeEndsInABusyRoom(t *testing.T) {
	h := hub.New(hub.Options{})
	defer h.Close()
	m, err := h.Join(room, lines, hub.Author{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Join(room, lines, hub.Author{}, nil); err != nil { // for whom the log goes on
		t.Fatal(err)
	}
	say := func(text string) {
		if _, err := h.Publish(t.Context(), room, &hub.Message{Payload: []byte(text)}); err != nil {
			t.Error(err)
		}
	}
	say("before")
	var written strings.Builder
	err = m.Serve(t.Context(), writerFunc(func(p []byte) (int, error) {
		switch n := written.Len(); {
		case n == 0:
			m.Leave()
		case n > 1000:
			return 0, errors.New("Serve does not end")
		}
		say("later") // the room has handled the leave when this returns, maybe after the first of these
		return written.Write(p)
	}))
	if got := written.String(); err != nil || strings.Count(got, "later") > 1 || !strings.Contains(got, "before") {
		t.Errorf("Serve = %v, and has written %.100q", err, got)
	}
}
