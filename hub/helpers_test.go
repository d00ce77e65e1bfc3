package hub_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// owner keeps what it is told.
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

// one returns the only notice since the last take, which must be a T.
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

// retry is a message with an id of its sender's.
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

// read returns what is due to a member.
func read(t *testing.T, m *hub.Member) string {
	t.Helper()
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatalf("WriteTo = %v", err)
	}
	return b.String()
}
