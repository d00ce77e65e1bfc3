package hostile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// httpRows are A-H, the handshake.
var httpRows = []row{
	{id: "H1", input: "other methods"},
	{id: "H2", input: "HEAD"},
	{id: "H3", input: "a browser's visit"},
	{id: "H4", input: "two tokens in Connection, and handshakes of no row"},
	{id: "H5", input: "two Connection lines"},
	{id: "H6", input: "upper and lower case"},
	{id: "H7", input: "nearly Upgrade, nearly websocket"},
	{id: "H8", input: "no key"},
	{id: "H9", input: "keys that are none"},
	{id: "H10", input: "two keys"},
	{id: "H11", input: "other versions of the protocol"},
	{id: "H12", input: "HTTP/1.0"},
	{id: "H13", input: "HTTP/2 and HTTP/3"},
	{id: "H14", input: "Hosts that are none"},
	{id: "H15", input: "malformed requests"},
	{id: "H16", input: "a page of another site", run: runOrigins},
	{id: "H17", input: "Origin: null"},
	{id: "H18", input: "hosts that look like the allowed one"},
	{id: "H19", input: "the right host, another port or scheme"},
	{id: "H20", input: "a body with a length, and a frame behind it", run: runBodies},
	{id: "H20b", input: "no Origin, with and without a cookie", note: "with a cookie 101 as well: there are no cookies, so none can be borrowed"},
	{id: "H21", input: "a chunked body"},
	{id: "H22", input: "lengths that disagree"},
	{id: "H23", input: "unknown encodings"},
	{id: "H24", input: "large headers", run: runEndlessHeader},
	{id: "H25", input: "3,000 header lines"},
	{id: "H26", input: "characters that no header has"},
	{id: "H27", input: "half a request, then silence", note: within, run: func(t *testing.T, s *stand) {
		runSilent(t, s, 1, "GET /websocket HTTP/1.1\r\nHost: a\r\nUpgr")
	}},
	{id: "H28", input: "one byte at a time, many at once", note: within, run: runSlowRequests},
	{id: "H29", input: "connected and silent, many at once", run: func(t *testing.T, s *stand) { runSilent(t, s, size(5000, 300), "") }},
	{id: "H30", input: "frames in the same write as the request"},
	{id: "H31", input: "frames right behind the request", run: runEarly},
	{id: "H32", input: "TLS and other protocols"},
	{id: "H33", input: "paths that are nearly the endpoint's"},
	{id: "H34", input: "subprotocols that are none"},
	{id: "H35", input: "extensions that are none"},
	{id: "H36", input: "more connections than allowed", run: runFull},
	{id: "H37", input: "control characters for the log"},
	{id: "H38", input: "gone before the 101 is read, many times", run: runGoneBeforeAnswer},
}

const within = "within a line net/http says 400 before it closes"

// dropped waits for the end of a connection that never made a request, without an answer other than that it was none.
func dropped(t *testing.T, conn *wire.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(wire.Patience))
	answer, err := io.ReadAll(conn.TCPConn)
	if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q, %v; want the end", answer, err)
	}
}

// connect opens a connection and says nothing.
func (s *stand) connect(t testing.TB) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(s.server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.dialled.Add(1)
	return conn
}

// runOrigins: a page that is allowed gets in, and the refusal says what to set.
func runOrigins(t *testing.T, s *stand) {
	s.dial(t, "", "Origin: http://"+s.server.Addr).open()
	conn, err := wire.ConnectFrom("127.0.0.77", s.server.Addr) // whose lines in the log no other row has used up
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.dialled.Add(1)
	conn.Write(wire.Request("chat.example", "/websocket", "Origin: https://wrong.example"))
	response, err := conn.Response("GET")
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("%v, %v; want 403", response, err)
	}
	line := s.server.Logged("https://wrong.example")
	if fmt.Sprint(line["host"]) != "chat.example" || !strings.Contains(fmt.Sprint(line["message"]), "public_url") {
		t.Errorf("the log says %v; want both hosts and the setting to change", line)
	}
}

// runBodies: what stands behind a request with a body was never taken for a frame.
func runBodies(t *testing.T, s *stand) {
	conn := s.connect(t)
	frame := wire.Append(nil, wire.Fin|wire.Text, []byte("smuggled"))
	request := wire.Request("a", "/websocket", fmt.Sprintf("Content-Length: %d", len(frame)))
	conn.Write(bytes.Join([][]byte{request, frame, frame}, nil))
	if response, err := conn.Response("GET"); err != nil || response.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v, %v; want 400", response, err)
	}
	if _, err := s.crowd.settle(); err != nil {
		t.Error(err)
	}
	if err := s.crowd.heardNothingLike("smuggled"); err != nil {
		t.Error(err)
	}
}

// runEndlessHeader: no more of a header is read than the cap, and what the kernel buffers.
func runEndlessHeader(t *testing.T, s *stand) {
	conn := s.connect(t)
	io.WriteString(conn, "GET /websocket HTTP/1.1\r\nHost: a\r\nX: ")
	const much = 64 << 20
	piece := bytes.Repeat([]byte("x"), 64<<10)
	written := 0
	for written < much {
		n, err := conn.Write(piece)
		if written += n; err != nil {
			return
		}
	}
	t.Errorf("the server has taken %d bytes of a header", written)
}

// runSilent: who does not finish a request is dropped, at the timeout and not before.
func runSilent(t *testing.T, s *stand, n int, begun string) {
	var conns []*wire.Conn
	since := time.Now()
	for range n {
		conn := s.connect(t)
		io.WriteString(conn, begun)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		dropped(t, conn)
	}
	if took := time.Since(since); took < s.timers.handshake/2 {
		t.Errorf("dropped after %v, want %v", took, s.timers.handshake)
	}
}

// runSlowRequests: bytes that drip do not hold the timeout off, and nobody else waits for them.
func runSlowRequests(t *testing.T, s *stand) {
	request := wire.Request("a", "/websocket", "X: "+strings.Repeat("x", 1000))
	var conns []*wire.Conn
	for range size(5000, 200) {
		conns = append(conns, s.connect(t))
	}
	var dripping sync.WaitGroup
	dripping.Go(func() {
		tick := time.NewTicker(s.timers.handshake / 10)
		defer tick.Stop()
		for i := range 15 {
			for _, conn := range conns {
				conn.Write(request[i : i+1]) // fails once the server has had enough
			}
			<-tick.C
		}
	})
	for range 10 {
		s.dial(t, "").open()
	}
	for _, conn := range conns {
		dropped(t, conn)
	}
	dripping.Wait()
}

// runEarly: a frame that comes while the handshake is being answered, at any moment of it, is not lost. Its first byte may have
// been read by net/http on the side.
func runEarly(t *testing.T, s *stand) {
	for i := range size(300, 60) {
		conn := s.connect(t)
		conn.SetNoDelay(true)
		conn.Write(wire.Request("a", "/websocket"))
		for since := time.Now(); time.Since(since) < time.Duration(i)*10*time.Microsecond; { // too short to sleep
		}
		early := fmt.Sprint("early", i)
		conn.Write(wire.Append(nil, wire.Fin|wire.Text, []byte(early)))
		if err := conn.Accepted(); err != nil {
			t.Fatal(err)
		}
		(&peer{Conn: conn, t: t, stand: s}).expect(text(early))
		conn.Close()
	}
}

// runFull: a server of its own that is full refuses with a word on when to come again.
func runFull(t *testing.T, s *stand) {
	full := s.start(t, "--limits-connections", "3")
	for range 3 {
		conn, err := wire.Dial(full.Addr, "/websocket")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	refused(t, full.Addr, http.StatusServiceUnavailable)

	few := s.start(t, "--limits-connections-per-ip", "2")
	for _, from := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.2"} {
		conn, err := wire.ConnectFrom(from, few.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(wire.Request(few.Addr, "/websocket"))
		if err := conn.Accepted(); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, few.Addr, http.StatusTooManyRequests)
}

// refused makes a handshake that must be refused with a status and Retry-After.
func refused(t *testing.T, addr string, status int) {
	t.Helper()
	conn, err := wire.Connect(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(wire.Request(addr, "/websocket"))
	response, err := conn.Response("GET")
	if err != nil || response.StatusCode != status || response.Header.Get("Retry-After") == "" {
		t.Errorf("%v, %v; want %d with Retry-After", response, err, status)
	}
}

// runGoneBeforeAnswer: nothing is kept of those who do not wait for the answer.
func runGoneBeforeAnswer(t *testing.T, s *stand) {
	for i := range size(10_000, 500) {
		conn, err := wire.Connect(s.server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		s.dialled.Add(1)
		conn.Write(wire.Request("a", "/websocket"))
		if i%2 == 0 {
			conn.SetLinger(0)
		}
		conn.Close()
	}
}
