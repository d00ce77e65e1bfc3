package hub_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// lines is a form that shows a message as a line of text.
var lines = &hub.Form{Message: func(dst []byte, m *hub.Message) []byte {
	return append(append(dst, m.Payload...), '\n')
}}

// wake is the smallest Owner: a goroutine receives from it and then writes what is due.
type wake chan struct{}

func (w wake) Notify(hub.Notice) { w.Wake() }
func (w wake) Wake() {
	select {
	case w <- struct{}{}:
	default: // one waiting wake-up is enough
	}
}

// owner keeps its notices.
type owner struct {
	mu      sync.Mutex
	notices []hub.Notice // guarded by mu
	wakes   int          // guarded by mu
}

func (o *owner) Wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wakes++
}

func (o *owner) Notify(n hub.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notices = append(o.notices, n)
}

// take returns the notices since the last take.
func (o *owner) take() []hub.Notice {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.notices
	o.notices = nil
	return taken
}

// woken tells whether there was a wake-up since the last call.
func (o *owner) woken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.wakes
	o.wakes = 0
	return n > 0
}

// one returns the only notice since the last take. It must be a T.
func one[T hub.Notice](t *testing.T, o *owner) T {
	t.Helper()
	notices := o.take()
	if len(notices) == 1 {
		if n, ok := notices[0].(T); ok {
			return n
		}
	}
	var want T
	t.Fatalf("notices %+v, want one %T", notices, want)
	return want
}

func join(t *testing.T, h *hub.Hub, room string, form *hub.Form, who hub.Author) (*hub.Member, *owner) {
	t.Helper()
	o := new(owner)
	m, err := h.Join(room, form, who, o)
	if err != nil {
		t.Fatalf("Join(%q) = %v", room, err)
	}
	return m, o
}

func text(s string) *hub.Message { return &hub.Message{Payload: []byte(s)} }

// retry is a message with an id that its sender has chosen.
func retry(id byte, s string) *hub.Message {
	return &hub.Message{ID: hub.ID{id}, Idempotent: true, Payload: []byte(s)}
}

func publish(t *testing.T, h *hub.Hub, room string, m *hub.Message) *hub.Message {
	t.Helper()
	got, err := h.Publish(context.Background(), room, m)
	if err != nil {
		t.Fatalf("Publish(%q) = %v", m.Payload, err)
	}
	return got
}

// read returns all that is due to a member.
func read(t *testing.T, m *hub.Member) string {
	t.Helper()
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatalf("WriteTo = %v", err)
	}
	return b.String()
}
