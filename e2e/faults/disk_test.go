//go:build linux

package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// When the disk is full, senders are told with a code that the page knows, the operator with one line, a monitor by /readyz; reading
// goes on, and so do the connections. When there is space again, everything goes on by itself.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() != 0 {
		doyasa.Skip(t, "mounting needs root")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		doyasa.Skip(t, "mount: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	ops := freeAddr(t)
	server := doyasa.Start(t, "--ops-listen", ops, "--history-store", "embedded", "--history-dir", dir, "--limits-messages-per-second", "0")
	server.Expect("the disk is full")
	conn, err := wire.Dial(server.Addr, "/websocket?room=r", "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stored, refused := 0, 0
	for refused < 3 {
		say := fmt.Sprintf(`{"type":"say","id":"01a218ab-6aeb-7e56-ae01-%012d","text":"%s"}`, stored+refused, strings.Repeat("や", 1300))
		if err := conn.Send(wire.Text, []byte(say)); err != nil {
			t.Fatal(err)
		}
		for answered := false; !answered; {
			f, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			text := string(f.Payload)
			switch {
			case strings.HasPrefix(text, `{"type":"message"`):
				stored, answered = stored+1, true
			case strings.HasPrefix(text, `{"type":"error"`):
				if !strings.Contains(text, `"code":"not_stored","id":"01a218`) {
					t.Fatalf("%s, want not_stored with the id", text)
				}
				refused, answered = refused+1, true
			}
		}
	}
	if stored < 100 {
		t.Errorf("%d messages of 4 kB in 1 MiB, want more", stored)
	}
	if p := fetch(t, server.Addr, "?limit=200"); len(p.Messages) < 50 {
		t.Errorf("%d messages can be read, want those that were stored", len(p.Messages))
	}
	ask := func(method, addr, path string) (int, string) {
		request, _ := http.NewRequest(method, "http://"+addr+path, strings.NewReader(strings.Repeat("や", 1300))) // a short text may still find space
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(b)
	}
	if status, body := ask("POST", server.Addr, "/api/rooms/r/messages"); status != 503 || !strings.Contains(body, `"not_stored"`) {
		t.Errorf("POST: %d %s", status, body)
	}
	eventually(t, "/readyz says so, which asks at most once a second", func() error {
		if status, body := ask("GET", ops, "/readyz"); status != 503 || !strings.Contains(body, dir) || !strings.Contains(body, "the disk is full") {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	if status, _ := ask("GET", ops, "/healthz"); status != 200 {
		t.Errorf("/healthz: %d, want 200: a restart would not help", status)
	}
	if n := strings.Count(server.Log(), "the disk is full"); n != 1 || !strings.Contains(server.Log(), dir) {
		t.Errorf("the operator is told %d times, want once:\n%s", n, server.Log())
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "with space again messages are stored, without a restart", func() error {
		if status, body := ask("POST", server.Addr, "/api/rooms/r/messages"); status != 200 {
			return fmt.Errorf("%d %s", status, body)
		}
		if status, body := ask("GET", ops, "/readyz"); status != 200 {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
}
