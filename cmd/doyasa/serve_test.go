package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/server"
	"github.com/doyasa/doyasa/static"
)

func get(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// TestServe is the life of a server that has only been given a free port.
func TestServe(t *testing.T) {
	for _, command := range [][]string{nil, {"serve"}} {
		p := start(t, append(command, "--listen", "127.0.0.1:0")...)
		address := p.ready()
		for path, want := range map[string]int{"/": 200, "/healthz": 200} {
			if got := get(t, "http://"+address+path); got != want {
				t.Errorf("%s answers %d, want %d", path, got, want)
			}
		}
		if status, stdout, stderr := call(nil, "healthcheck", "--listen", address); status != 0 {
			t.Errorf("healthcheck: %d, %s%s", status, stdout, stderr)
		}
		p.signal(syscall.SIGTERM)
		status, log := p.wait()
		if status != 0 || !strings.Contains(log, `"stopped"`) || strings.Contains(log, `"warn"`) || p.stderr.Len() > 0 {
			t.Errorf("after SIGTERM: status %d, stderr %q, log\n%s\nwant 0, a log without warnings that ends in stopped", status, &p.stderr, log)
		}
	}
}

func TestServeOps(t *testing.T) {
	p := start(t, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	ops, _ := p.logged("health and metrics are here only")["address"].(string)
	address := p.ready()
	for url, want := range map[string]int{
		"http://" + ops + "/healthz": 200, "http://" + ops + "/metrics": 200, "http://" + ops + "/readyz": 200, "http://" + ops + "/": 404, "http://" + ops + "/websocket": 404,
		"http://" + address + "/healthz": 404, "http://" + address + "/metrics": 404, "http://" + address + "/readyz": 404, "http://" + address + "/": 200,
	} {
		if got := get(t, url); got != want {
			t.Errorf("%s answers %d, want %d (ops_listen %s, listen %s)", url, got, want, ops, address)
		}
	}
	p.signal(syscall.SIGINT)
	if status, log := p.wait(); status != 0 {
		t.Errorf("after SIGINT: status %d, log\n%s", status, log)
	}
}

// C13: a server that cannot listen ends at once and says why.
func TestServeCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen", address}, "doyasa: listen: " + address + " is taken by another program; --listen chooses another address\n"},
		{[]string{"--listen", "127.0.0.1:0", "--ops-listen", address}, "doyasa: ops_listen: " + address + " is taken by another program; --ops-listen chooses another address\n"},
		{[]string{"--listen", "192.0.2.77:3000"}, "doyasa: listen: 192.0.2.77:3000 is not an address of this machine\n"},
	} {
		p := start(t, row.args...)
		status, log := p.wait()
		if status != 1 || p.stderr.String() != row.want || log != "" {
			t.Errorf("doyasa %q: status %d, stderr %q, log %q; want 1, %q", row.args, status, &p.stderr, log, row.want)
		}
	}
}

// TestServeNotices: a notice about the settings is logged once, and the start goes on.
func TestServeNotices(t *testing.T) {
	p := start(t, "--listen", ":0", "--config", os.DevNull)
	url, _ := p.logged("doyasa is ready")["message"].(string)
	if !strings.HasPrefix(url, "doyasa is ready: open http://localhost:") {
		t.Errorf("%q, want an address to open", url)
	}
	if level := p.logged("public_url is not set")["level"]; level != "warn" {
		t.Errorf("listening on every address is said at level %q, want warn", level)
	}
	p.signal(syscall.SIGTERM)
	if _, log := p.wait(); !strings.Contains(log, "/dev/null sets nothing: defaults") || strings.Count(log, `"warn"`) != 2 {
		t.Errorf("log\n%s\nwant two warnings, one that the file is empty", log)
	}
	p = start(t, "--listen", ":0", "--public-url", "https://Chat.example.org/")
	if url, _ := p.logged("doyasa is ready")["message"].(string); !strings.Contains(url, "open https://chat.example.org in") {
		t.Errorf("%q, want the public URL", url)
	}
	p.signal(syscall.SIGTERM)
	if _, log := p.wait(); strings.Contains(log, "public_url") {
		t.Errorf("with public_url the log says\n%s", log)
	}
}

// The log names the address to open, which with compose is the one that is published, and warns if others can reach it.
func TestAnnounce(t *testing.T) {
	everywhere, local := &net.TCPAddr{IP: net.IPv6unspecified, Port: 3000}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3000}
	for _, row := range []struct {
		listen, published, publicURL string
		address                      *net.TCPAddr
		want                         string
		warned                       bool
	}{
		{":3000", "", "", everywhere, "http://localhost:3000", true},
		{"127.0.0.1:0", "", "", local, "http://localhost:3000", false},
		{"localhost:3000", "", "", local, "http://localhost:3000", false},
		{"192.0.2.1:3000", "", "", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 3000}, "http://192.0.2.1:3000", true},
		{":3000", ":8080", "", everywhere, "http://localhost:8080", true},
		{":3000", "127.0.0.1:8080", "", everywhere, "http://localhost:8080", false},
		{":3000", "[::1]:8080", "", everywhere, "http://localhost:8080", false},
		{":3000", "192.0.2.1:8080", "", everywhere, "http://192.0.2.1:8080", true},
		{":3000", ":8080", "https://chat.example.org", everywhere, "https://chat.example.org", false},
	} {
		var out bytes.Buffer
		l := &config.Loaded{Config: config.Config{Listen: row.listen, PublicURL: row.publicURL}, Published: row.published}
		announce(l, row.address, zerolog.New(&out))
		if warned := strings.Contains(out.String(), `"warn"`); !strings.Contains(out.String(), "open "+row.want+" in two tabs") || warned != row.warned {
			t.Errorf("listen %s, published %q, public_url %q:\n%swant %s to open, and warned is %v", row.listen, row.published, row.publicURL, &out, row.want, row.warned)
		}
	}
}

// stuck sends a request whose body never comes, and returns when the server waits for the body.
func stuck(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /api/rooms/doyasa/messages HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", address)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v; want 100 Continue", line, err)
	}
}

// C17: a second signal ends the server at once, although requests are still running.
func TestSecondSignal(t *testing.T) {
	p := start(t, "--listen", "127.0.0.1:0", "--limits-drain-timeout", "10m", "--limits-handshake-timeout", "10m")
	stuck(t, p.ready())
	p.signal(syscall.SIGTERM)
	p.logged("letting everybody go")
	p.signal(syscall.SIGTERM)
	if status, log := p.wait(); status != 1 || p.stderr.String() != "doyasa: terminated again: ended at once\n" {
		t.Errorf("status %d, stderr %q, log\n%s\nwant 1 and a word about it", status, &p.stderr, log)
	}
}

// The drain timeout ends requests that do not end by themselves, and that is not a failure.
func TestDrainTimeout(t *testing.T) {
	p := start(t, "--listen", "127.0.0.1:0", "--limits-drain-timeout", "200ms", "--limits-handshake-timeout", "10m")
	stuck(t, p.ready())
	p.signal(syscall.SIGTERM)
	p.logged("limits.drain_timeout is over")
	if status, log := p.wait(); status != 0 {
		t.Errorf("status %d, log\n%s\nwant 0", status, log)
	}
}

// A history that cannot be written, because its disk hangs, does not keep the process from ending.
func TestDrainOfAHistoryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, err := server.New(server.Options{Config: config.Default(), Log: zerolog.Nop(), Page: static.Files})
		if err != nil {
			t.Fatal(err)
		}
		hung := make(chan struct{})
		defer close(hung)
		began := time.Now()
		err = drain(t.Context(), app, nil, func() error { <-hung; return nil }, 10*time.Second, nil, 0, zerolog.Nop())
		if err == nil || time.Since(began) > 10*time.Second+historyGrace {
			t.Errorf("drain = %v after %v, want an error once the timeout is over", err, time.Since(began))
		}
	})
}
