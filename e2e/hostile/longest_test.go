package hostile_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// TestLongestMessage: a text of as many bytes as the settings allow at most goes to a raw member, to one of doyasa.v1 out of the
// history, and into a page of the API, and the server goes on. In the soak it is 64 MiB with the history in memory as well, and each
// byte takes six in JSON.
func TestLongestMessage(t *testing.T) {
	for _, row := range []struct {
		store, size string
		bytes       int
	}{{"embedded", "16MiB", 16 << 20}, {"memory", "64MiB", 64 << 20}} {
		t.Run(row.store, func(t *testing.T) {
			text := bytes.Repeat([]byte("x"), row.bytes)
			if soak {
				text = bytes.Repeat([]byte{1}, row.bytes)
			} else if row.store == "memory" {
				onlySoak(t)
			}
			s := doyasa.Start(t, "--history-store", row.store, "--history-dir", t.TempDir(), "--history-bytes", "1GiB", "--history-total-bytes", "1GiB",
				"--limits-message-bytes", row.size, "--limits-text-bytes", row.size, "--limits-slow-timeout", "1m", "--limits-ping-interval", "1h")
			sayLongest(t, s, text)
			member := enterFor(t, s, v1)
			got := ""
			for got == "" { // hello has no text
				got = nextText(t, member)
			}
			if got != string(text) {
				t.Errorf("the history has a text of %d bytes, want %d", len(got), len(text))
			}
			var page struct {
				Messages []struct{ Text string }
			}
			if err := json.Unmarshal(history(t, s), &page); err != nil || len(page.Messages) != 1 || page.Messages[0].Text != string(text) {
				t.Errorf("a page of the API with %d messages, %v, want the one that was said", len(page.Messages), err)
			}
			sayLongest(t, s, []byte("and another one"))
		})
	}
}

// enterFor is a connection with the time that such a message takes on a busy machine.
func enterFor(t *testing.T, s *doyasa.Server, header ...string) *wire.Conn {
	t.Helper()
	conn, err := wire.Dial(s.Addr, "/websocket", header...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return conn
}

// sayLongest says a text as a new raw member and reads it back.
func sayLongest(t *testing.T, s *doyasa.Server, text []byte) {
	t.Helper()
	conn := enterFor(t, s)
	defer conn.Close()
	sent := make(chan error, 1) // it comes back while it is being sent
	go func() { sent <- conn.Send(wire.Text, text) }()
	if f, err := conn.ReadFrame(); err != nil || !bytes.Equal(f.Payload, text) {
		t.Fatalf("%d bytes with code %d, %v, want %d bytes back", len(f.Payload), f.Code(), err, len(text))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// nextText reads a frame of doyasa.v1 and returns the text in it, if it is a message.
func nextText(t *testing.T, conn *wire.Conn) string {
	t.Helper()
	f, err := conn.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	var frame struct{ Type, Text string }
	if err := json.Unmarshal(f.Payload, &frame); err != nil {
		t.Fatalf("%v in a frame of %d bytes", err, len(f.Payload))
	}
	if frame.Type == "live" {
		t.Fatal("the history ends without the message")
	}
	return frame.Text
}

// history is a page of the API.
func history(t *testing.T, s *doyasa.Server) []byte {
	t.Helper()
	r, err := http.Get("http://" + s.Addr + "/api/rooms/doyasa/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", r.Status, err)
	}
	return b
}
