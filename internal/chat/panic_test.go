package chat

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/wsproto"
)

// A bug met by one connection ends that one with 1011 and a line with its stack, and the others lose
// nothing.
func TestPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBench(t, nil)
		defer s.shutdown(t)
		echo := "\x81\x02hi"
		hit := s.serve(nil, &Request{Room: "r"})
		synctest.Wait()
		var victim *session
		s.Sessions.mu.Lock()
		for victim = range s.all {
		}
		s.Sessions.mu.Unlock()
		other := s.serve(nil, &Request{Room: "r"})
		defer other.Close()
		expect := func(who string, r io.Reader) {
			t.Helper()
			got := make([]byte, len(echo))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != echo {
				t.Fatalf("%s: %q, %v, want %q", who, got, err, echo)
			}
		}
		synctest.Wait()
		other.Write(frame(wsproto.OpText, "hi"))
		expect("the one", hit)
		expect("the other", other)
		victim.conn.Post(func() { panic("a bug") })
		want := "\x88\x0a\x03\xf3internal"
		if got, err := io.ReadAll(hit); err != nil || string(got) != want {
			t.Errorf("%q, %v, want Close 1011 and the end: %q", got, err, want)
		}
		hit.Close()
		synctest.Wait()
		if n := s.Hub.Stats().Members; n != 1 {
			t.Errorf("%d members, want 1", n)
		}
		other.Write(frame(wsproto.OpText, "hi"))
		expect("the other afterwards", other)
		if n, c := s.count("panicked "), s.count("closed 1011"); n != 1 || c != 1 {
			t.Errorf("%d panics and %d ends with 1011 are counted, want 1 and 1", n, c)
		}
		log := s.log.String()
		if !strings.Contains(log, `"level":"error"`) || !strings.Contains(log, `"panic":"a bug"`) || !strings.Contains(log, "panic_test.go") {
			t.Errorf("no line with panic and stack in\n%s", log)
		}
		if n := strings.Count(log, `"level":"error"`); n != 1 {
			t.Errorf("%d lines of errors for it, want 1:\n%s", n, log)
		}
	})
}

// A bug met before a session is complete leaves nothing behind that Shutdown would wait for.
func TestPanicBeforeTheSessionIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBench(t, nil)
		defer s.shutdown(t)
		s.Counters.Refused = func(string) { panic("a bug") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Serve did not pass the panic on")
				}
			}()
			s.serve(nil, &Request{Room: "r", Refusal: RoomsFull})
		}()
		s.Sessions.mu.Lock()
		defer s.Sessions.mu.Unlock()
		if n := len(s.all); n != 0 {
			t.Errorf("%d sessions are listed, want none", n)
		}
	})
}
