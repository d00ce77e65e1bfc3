package server

import (
	"io"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/wsproto"
)

// A bug met by one connection ends that one with 1011 and a line with its stack, and the
// others lose nothing.
func TestPanicEndsOneConnection(t *testing.T) {
	e := newEdge(t, nil)
	frame := wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}, []byte("hi"))
	echo := "\x81\x02hi"
	hit, hitReader := e.upgrade(handshake)
	defer hit.Close()
	e.eventually("doyasa_members", 1)
	var victim *session
	e.s.mu.Lock()
	for victim = range e.s.sessions {
	}
	e.s.mu.Unlock()
	other, otherReader := e.upgrade(handshake)
	defer other.Close()
	e.eventually("doyasa_members", 2)
	other.Write(frame)
	for _, r := range []io.Reader{hitReader, otherReader} {
		got := make([]byte, len(echo))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != echo {
			t.Fatalf("%q, %v, want %q", got, err, echo)
		}
	}
	victim.conn.Post(func() { panic("a bug") })
	want := "\x88\x0a\x03\xf3internal"
	if got, err := io.ReadAll(hitReader); err != nil || string(got) != want {
		t.Errorf("%q, %v, want Close 1011 and the end: %q", got, err, want)
	}
	hit.Close()
	e.eventually(`doyasa_closes_total{code="1011"}`, 1)
	e.eventually("doyasa_members", 1)
	other.Write(frame)
	got := make([]byte, len(echo))
	if _, err := io.ReadFull(otherReader, got); err != nil || string(got) != echo {
		t.Errorf("the other: %q, %v, want %q", got, err, echo)
	}
	if v := e.scrape()["doyasa_panics_total"]; v != 1 {
		t.Errorf("doyasa_panics_total = %v, want 1", v)
	}
	log := e.log.String()
	if !strings.Contains(log, `"level":"error"`) || !strings.Contains(log, `"panic":"a bug"`) || !strings.Contains(log, "panic_test.go") {
		t.Errorf("no line with panic and stack in\n%s", log)
	}
	if n := strings.Count(log, `"level":"error"`); n != 1 {
		t.Errorf("%d lines of errors for it, want 1:\n%s", n, log)
	}
}
