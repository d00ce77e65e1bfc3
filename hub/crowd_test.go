package hub_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// crowd is how many members and messages the tests of a crowd have.
func crowd() (members, each int) {
	if hub.RaceDetector {
		return 150, 60
	}
	return 500, 200
}

// Every member gets every message once, all in one order, while ten of them say something.
func TestCrowd(t *testing.T) {
	const senders = 10
	members, each := crowd()
	h := hub.New(hub.Options{})
	defer h.Close()
	var readers []*reader
	for range members {
		readers = append(readers, startReader(t, h, room))
	}
	for _, r := range readers {
		r.joined <- <-r.joined
	}
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			for i := range each {
				if !readers[n].member.Say(numbered(n, i)) {
					t.Errorf("the inbox is full at %d", i)
				}
			}
		})
	}
	wg.Wait()
	want := uint64(0)
	for i, r := range readers {
		got := r.sum(t, senders*each)
		if i == 0 {
			want = sum(journaled(t, h, senders*each))
			if lost := r.lost(senders, each); len(lost) > 0 {
				t.Errorf("lost %v", lost)
			}
		}
		if got != want {
			t.Errorf("member %d has hash %x, want %x", i, got, want)
		}
	}
}

// The same while members come and go: each gets all messages between its Joined and its
// Left, and no others.
func TestCrowdComesAndGoes(t *testing.T) {
	const senders = 10
	members, each := crowd()
	h := hub.New(hub.Options{})
	defer h.Close()
	witness := startReader(t, h, room)
	witness.joined <- <-witness.joined
	var wg sync.WaitGroup
	visits := make([][]*reader, senders)
	for n := range senders {
		wg.Go(func() {
			m := startReader(t, h, room)
			m.joined <- <-m.joined
			for i := range each {
				if !m.member.Say(numbered(n, i)) {
					t.Errorf("the inbox is full at %d", i)
				}
				if rand.IntN(each) < members/senders {
					visits[n] = append(visits[n], startReader(t, h, room))
				}
				if some := visits[n]; len(some) > 0 && rand.IntN(2) == 0 {
					some[rand.IntN(len(some))].leave(t)
				}
			}
			m.leave(t) // after everything it said
			if last := fmt.Sprintf("%03d/%04d", n, each-1); !slices.Contains(m.lines, last) {
				t.Errorf("sender %d left and has not seen its last message", n)
			}
			for _, r := range visits[n] {
				r.leave(t)
			}
		})
	}
	wg.Wait()
	if got, want := witness.sum(t, senders*each), sum(journaled(t, h, senders*each)); got != want {
		t.Errorf("the witness has hash %x, want %x", got, want)
	}
	order := journaled(t, h, senders*each)
	for _, r := range slices.Concat(visits...) {
		from := int((<-r.joined).Head)
		if to := from + len(r.lines); to > len(order) || sum(r.lines) != sum(order[from:to]) {
			t.Errorf("joined at %d, and the %d lines are not the ones that followed", from, len(r.lines))
		}
	}
}

// A member that is not read for does not disturb the others.
func TestStalledMember(t *testing.T) {
	h := hub.New(hub.Options{LogBytes: 16 << 10, ChunkBytes: 4 << 10})
	defer h.Close()
	stalled := new(owner)
	s, err := h.Join(room, lines, hub.Author{}, stalled)
	if err != nil {
		t.Fatal(err)
	}
	var readers []*reader
	for range 5 {
		readers = append(readers, startReader(t, h, room))
	}
	for _, r := range readers {
		r.joined <- <-r.joined
	}
	const messages = 3_000
	for i := range messages {
		publish(t, h, room, numbered(0, i))
		if i%100 == 0 { // the readers keep up
			for _, r := range readers {
				r.mu.Lock()
				for len(r.lines) < i {
					r.more.Wait()
				}
				r.mu.Unlock()
			}
		}
	}
	for _, r := range readers {
		if r.sum(t, messages); len(r.lost(1, messages)) > 0 {
			t.Errorf("lost %v", r.lost(1, messages))
		}
	}
	if got := h.LogBytes(); got > 16<<10 {
		t.Errorf("the log holds %d bytes, want at most %d", got, 16<<10)
	}
	if _, err := s.WriteTo(io.Discard); !errors.Is(err, hub.ErrOvertaken) {
		t.Errorf("WriteTo = %v, want %v", err, hub.ErrOvertaken)
	}
	if from, to := s.Cursor().Skip(); from != 1 || to != messages {
		t.Errorf("Skip = %d, %d", from, to)
	}
}
