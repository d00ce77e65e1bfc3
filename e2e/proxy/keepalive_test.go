package proxy_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// With the lines of operations.md nginx sends the requests of several visitors on one connection to the server, which stays open between
// them, and WebSockets still get through.
func TestNginxKeepsConnections(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		doyasa.Skip(t, "nginx is not here")
	}
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```nginx\n(map .*?)```").FindSubmatch(document)
	if lines == nil {
		t.Fatal("operations.md has no lines for nginx")
	}
	server := doyasa.Start(t)
	between, accepted := forward(t, server.Addr)
	nginx := kinds[0]
	bare := nginx.config
	nginx.config = func(dir, address, block string) string {
		return strings.Replace(bare(dir, address, block), "http {\n", "http {\n"+strings.Replace(string(lines[1]), "127.0.0.1:3000", between, 1), 1)
	}
	proxy := nginx.start(t, server, func(block string) string {
		return strings.NewReplacer("http://"+server.Addr, "http://doyasa", `"upgrade"`, "$connection_upgrade").Replace(block)
	})
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range 10 {
		response, err := client.Get("http://" + proxy + "/healthz")
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %v, %v", i+1, response, err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("nginx has opened %d connections, want 1", n)
	}
	conn := upgrade(t, proxy)
	conn.Send(wire.Text, []byte("x"))
	if f := frame(t, conn); string(f.Payload) != "x" {
		t.Errorf("%v comes back", f)
	}
}

// forward passes connections on to an address and counts them.
func forward(t *testing.T, to string) (address string, accepted *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted = new(atomic.Int32)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				io.Copy(to, from)
				to.Close()
				from.Close()
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return l.Addr().String(), accepted
}
