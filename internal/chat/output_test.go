package chat

import (
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
)

type quietOwner struct{}

func (quietOwner) Wake()             {}
func (quietOwner) Notify(hub.Notice) {}

// What is due may be written in pieces of any size, as over TLS. Each piece is counted for the rest of the record, for the
// pending bytes or for the log, whichever it belongs to.
func TestWrittenInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBench(t, nil)
		defer s.shutdown(t)
		m, err := s.Hub.Join("r", rawForm, hub.Author{}, quietOwner{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ss := &session{shared: s.Sessions, member: m, phase: live}
		ss.form = raw{ss}
		write := func(size int) (wrote string) {
			bufs, err := ss.Due(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bufs {
				for len(b) > 0 {
					n := min(size, len(b))
					wrote += string(b[:n])
					b = b[n:]
					ss.Wrote(n)
				}
			}
			return wrote
		}
		for _, text := range []string{"one", "two"} {
			m.Say(&hub.Message{Payload: []byte(text), Transient: true})
		}
		synctest.Wait()
		if bufs, err := ss.Due(nil); err != nil || len(bufs) != 1 {
			t.Fatalf("%q, %v", bufs, err)
		}
		ss.Wrote(2) // a record is begun
		for _, size := range []int{1, 2, 100} {
			ss.out = []byte("pending")
			m.Say(&hub.Message{Payload: []byte("more"), Transient: true})
			synctest.Wait()
			got, want := write(size)+write(size), "pending\x81\x04more"
			if size == 1 {
				want = "one" + "pending" + "\x81\x03two\x81\x04more" // the rest of the record comes first
			}
			if got != want || len(ss.out) > 0 || m.Cursor().Lag() > 0 {
				t.Errorf("in pieces of %d: wrote %q, want %q; %d bytes pending and %d of the log are left", size, got, want, len(ss.out), m.Cursor().Lag())
			}
		}
		m.Leave()
	})
}
