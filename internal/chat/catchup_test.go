package chat

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// A page that arrives when the session has come to its end meanwhile is dropped.
func TestLatePageIsDropped(t *testing.T) {
	for p := asking; p <= closing; p++ {
		ran := false
		v := &v1{session: &session{phase: p}, arrival: new(arrival)}
		v.whileArriving(func() { ran = true })()
		if want := p == greeting || p == catchingUp; ran != want {
			t.Errorf("in phase %d the page is used: %v, want %v", p, ran, want)
		}
	}
}

// A closed journal opens no room.
type closedJournal struct{ *journaltest.Async }

func (closedJournal) Open(string, func(hub.Entry)) (hub.Opened, error) {
	return hub.Opened{}, errors.New("the disk is gone")
}

// A room that cannot be opened closes those who want to join it, and keeps nothing of them.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := journaltest.NewAsync(journaltest.Options{})
		s := newBenchOn(t, hub.Options{Journal: closedJournal{journal}}, nil)
		raw := s.serve(frame(0x1, "said at once"), &Request{Room: "r"})
		v1 := s.serve(frame(0x1, `{"type":"beat"}`), &Request{Room: "r", V1: true})
		for _, tt := range []struct {
			r    io.Reader
			want string
		}{{raw, "\x88\x09\x03\xf3refused"}, {v1, "\x88\x0a\x03\xf5internal"}} {
			if got, err := io.ReadAll(tt.r); err != nil || string(got) != tt.want {
				t.Errorf("%q, %v, want %q and the end", got, err, tt.want)
			}
		}
		raw.Close()
		v1.Close()
		synctest.Wait()
		if open, _ := s.Connections.Open(); open != 0 || s.Input.Total() != 0 || s.Hub.Stats().Members != 0 {
			t.Errorf("%d connections, %d bytes of input, %d members are left", open, s.Input.Total(), s.Hub.Stats().Members)
		}
		s.shutdown(t)
		journal.Stop()
	})
}
