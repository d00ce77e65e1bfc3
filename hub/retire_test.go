package hub_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// strict is a journal that notes calls against the contract of hub.Journal: a room that is
// used before it is opened, opened twice, or called by two goroutines at once. Its Close can
// be made to take as long as a test likes.
type strict struct {
	hub.Journal
	hold chan struct{} // nil: Close does not wait; else until the test closes this

	mu     sync.Mutex
	opened map[string]bool // guarded by mu
	busy   map[string]bool // guarded by mu
	wrong  []string        // guarded by mu
	most   int             // guarded by mu: rooms open at once
}

func (j *strict) call(room, what string, f func()) {
	j.mu.Lock()
	if j.opened == nil {
		j.opened, j.busy = make(map[string]bool), make(map[string]bool)
	}
	if j.busy[room] || what == "Open" && j.opened[room] || what == "Append" && !j.opened[room] {
		j.wrong = append(j.wrong, fmt.Sprintf("%s(%s) with the room open: %v, in another call: %v", what, room, j.opened[room], j.busy[room]))
	}
	j.busy[room] = true
	j.mu.Unlock()
	f()
	j.mu.Lock()
	j.busy[room] = false
	switch what {
	case "Open":
		j.opened[room] = true
	case "Close":
		delete(j.opened, room)
	}
	j.most = max(j.most, len(j.opened))
	j.mu.Unlock()
}

func (j *strict) Open(room string, deliver func(hub.Entry)) (o hub.Opened, err error) {
	j.call(room, "Open", func() { o, err = j.Journal.Open(room, deliver) })
	return o, err
}

func (j *strict) Append(room string, m *hub.Message) {
	j.call(room, "Append", func() { j.Journal.Append(room, m) })
}

func (j *strict) Close(room string) {
	j.call(room, "Close", func() {
		if j.hold != nil {
			<-j.hold
		}
		j.Journal.Close(room)
	})
}

func (j *strict) check(t *testing.T) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, wrong := range j.wrong {
		t.Error(wrong)
	}
}

// While the journal takes its time to close a retired room, two rooms wait: the one that
// takes its place, and the same room when it is used again. All others go on.
func TestRetiringWaitsForNobody(t *testing.T) {
	for _, rested := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			j := &strict{Journal: hub.NewMemory(hub.MemoryOptions{}), hold: make(chan struct{})}
			h := hub.New(hub.Options{Journal: j, MaxRooms: 2})
			publish(t, h, "a", retry(1, "old"))
			if rested {
				time.Sleep(time.Hour)
			}
			b, bOwner := join(t, h, "b", lines, hub.Author{})
			c, cOwner := join(t, h, "c", lines, hub.Author{}) // a retires
			synctest.Wait()
			one[hub.Joined](t, bOwner)
			if n := cOwner.take(); len(n) > 0 {
				t.Errorf("told %+v before the journal has closed the room whose place it takes", n)
			}
			b.Say(text("x"))
			synctest.Wait()
			if got := read(t, b); got != "x\n" {
				t.Errorf("another room has published %q meanwhile, want x", got)
			}
			if n := h.Stats().Rooms; n != 2 || h.Retiring() != 1 {
				t.Errorf("%d rooms and %d retiring, want 2 and 1", n, h.Retiring())
			}
			if _, err := h.Join("a", lines, hub.Author{}, nobody{}); !errors.Is(err, hub.ErrRoomsFull) {
				t.Errorf("Join = %v, want %v", err, hub.ErrRoomsFull)
			}
			b.Leave()
			synctest.Wait()
			again, againOwner := join(t, h, "a", lines, hub.Author{}) // b retires
			again.Say(retry(1, "new"))
			c.Leave()
			synctest.Wait()
			if n := againOwner.take(); len(n) > 0 {
				t.Errorf("told %+v before the journal has closed the old room of this name", n)
			}
			close(j.hold)
			synctest.Wait()
			if n := againOwner.take(); len(n) != 1 {
				t.Errorf("told %+v, want Joined", n)
			}
			if got := read(t, again); got != "new\n" {
				t.Errorf("read %q, want new: the room has started over, ids included", got)
			}
			if h.Retiring() != 0 {
				t.Errorf("%d retiring, want none", h.Retiring())
			}
			h.Close()
			j.check(t)
		})
	}
}

// Many publishers use more rooms than there may be, which retire each other all the time.
// The journal is used as its contract says, and has never more rooms than MaxRooms.
func TestRoomsRetireEachOther(t *testing.T) {
	j := &strict{Journal: hub.NewMemory(hub.MemoryOptions{})}
	h := hub.New(hub.Options{Journal: j, MaxRooms: 3})
	var publishers sync.WaitGroup
	for range 8 {
		publishers.Go(func() {
			for n := range 500 {
				name := fmt.Sprint(rand.IntN(6))
				m, err := h.Publish(t.Context(), name, text(fmt.Sprint(n)))
				switch {
				case errors.Is(err, hub.ErrRoomsFull):
				case err != nil:
					t.Errorf("Publish = %v", err)
				case m.Prev+1 != m.Seq:
					t.Errorf("Seq %d, Prev %d", m.Seq, m.Prev)
				}
			}
		})
	}
	publishers.Wait()
	h.Close()
	j.check(t)
	if j.most != 3 {
		t.Errorf("%d rooms were open at once, want 3", j.most)
	}
}
