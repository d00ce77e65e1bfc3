package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// An older copy of the history is put back and the room goes on. A client that has seen messages which the copy does not have is not
// told that it goes on where it was, and it gets every message that is new.
func TestOldCopyPutBack(t *testing.T) {
	base := t.TempDir()
	dir, copied := filepath.Join(base, "data"), filepath.Join(base, "copy")
	start := func() *doyasa.Server {
		return doyasa.Start(t, "--history-store", "embedded", "--history-dir", dir, "--limits-messages-per-second", "0")
	}
	say := func(s *doyasa.Server, n int) {
		t.Helper()
		for i := range n {
			response, err := http.Post("http://"+s.Addr+"/api/rooms/r/messages", "text/plain", strings.NewReader(fmt.Sprint("どやさ", i)))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
	}
	end := func(s *doyasa.Server) {
		t.Helper()
		s.Terminate()
		if status := s.Wait(wire.Patience); status != 0 {
			t.Fatalf("status %d", status)
		}
	}
	server := start()
	say(server, 3)
	end(server)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	server = start()
	say(server, 5)
	seen := fetch(t, server.Addr, "?limit=1")
	end(server)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, dir); err != nil {
		t.Fatal(err)
	}
	server = start()
	say(server, 7)
	now := fetch(t, server.Addr, "?limit=200")
	if now.Epoch != seen.Epoch || len(now.Messages) != 10 {
		t.Fatalf("%d messages in epoch %s, want 10 in %s", len(now.Messages), now.Epoch, seen.Epoch)
	}
	for _, m := range now.Messages[3:] {
		if m.Seq <= seen.Last {
			t.Errorf("number %d is given again, up to %d were given before", m.Seq, seen.Last)
		}
	}
	conn, err := wire.Dial(server.Addr, fmt.Sprintf("/websocket?room=r&after=%d&epoch=%s", seen.Last, seen.Epoch), "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := 0
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"hello"`)):
			if !bytes.Contains(f.Payload, []byte(`"resumed":false,"reason":"epoch"`)) {
				t.Errorf("%s, want that it starts anew", f.Payload)
			}
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)):
			got++
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"live"`)):
			if got != 10 {
				t.Errorf("%d messages, want the room's 10", got)
			}
			return
		}
	}
}
