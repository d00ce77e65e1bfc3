package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/wsproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An edge is a Server behind net/http on loopback, as cmd/doyasa runs it.
type edge struct {
	t    *testing.T
	s    *Server
	http *httptest.Server
	log  *lockedBuffer
	down sync.Once

	handlers sync.WaitGroup // handlers that run; net/http does not wait for those that hijack
}

func (e *edge) shutdown() {
	e.down.Do(func() {
		if err := e.s.Shutdown(context.Background()); err != nil {
			e.t.Errorf("Shutdown = %v", err)
		}
		e.http.Close()
		e.handlers.Wait()
	})
}

func newEdge(t *testing.T, change func(*config.Config)) *edge {
	t.Helper()
	cfg := config.Default()
	if change != nil {
		change(&cfg)
	}
	e := &edge{t: t, log: new(lockedBuffer)}
	page := fstest.MapFS{
		"index.html":    {Data: []byte("<!doctype html>")},
		"js/main.js":    {Data: []byte("main()")},
		"css/page.css":  {Data: []byte("a{}")},
		"icon.svg":      {Data: []byte("<svg/>")},
		"a.webmanifest": {Data: []byte("{}")},
	}
	var err error
	if e.s, err = New(Options{Config: cfg, Log: zerolog.New(e.log), Page: page}); err != nil {
		t.Fatal(err)
	}
	handler := e.s.Handler()
	e.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.handlers.Add(1)
		defer e.handlers.Done()
		handler.ServeHTTP(w, r)
	}))
	e.http.Config.ConnState = e.s.ConnState
	e.http.Config.ReadHeaderTimeout = cfg.Limits.HandshakeTimeout
	e.http.Config.MaxHeaderBytes = 16 << 10
	e.http.Start()
	t.Cleanup(e.shutdown)
	return e
}

// dial opens a connection whose every use ends within a minute.
func (e *edge) dial() net.Conn {
	e.t.Helper()
	nc, err := net.Dial("tcp", e.http.Listener.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(time.Minute))
	return nc
}

// exchange writes a request and reads the response. If the response says that the connection is closed, nothing
// more may come on it. The head is returned as it was sent.
func (e *edge) exchange(request string) (r *http.Response, head, body string) {
	e.t.Helper()
	nc := e.dial()
	defer nc.Close()
	go io.WriteString(nc, request) // it may be refused before it is read whole
	var seen bytes.Buffer
	b := bufio.NewReader(io.TeeReader(nc, &seen))
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		e.t.Fatalf("no response to %.80q: %v", request, err)
	}
	got, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Errorf("the body of the answer to %.80q: %v", request, err)
	}
	head, _, _ = strings.Cut(seen.String(), "\r\n\r\n")
	if r.Close && r.StatusCode != http.StatusSwitchingProtocols {
		if rest, err := io.ReadAll(b); errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 0 {
			e.t.Errorf("behind the answer to %.80q: %q, %v, want the end of the connection", request, rest, err)
		}
	}
	return r, head, string(got)
}

// handshake is a valid opening handshake, which tests vary.
const handshake = "GET /websocket HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// vary replaces from, which must be there, with to in the handshake.
func vary(t *testing.T, from, to string) string {
	t.Helper()
	if !strings.Contains(handshake, from) {
		t.Fatalf("%q is not in the handshake", from)
	}
	return strings.Replace(handshake, from, to, 1)
}

func with(t *testing.T, lines ...string) string {
	return vary(t, "\r\n\r\n", "\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
}

// TestHandshakeRows has those of the rows H1 to H37 of the catalogue that need one request only.
func TestHandshakeRows(t *testing.T) {
	e := newEdge(t, nil)
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	version := "Sec-WebSocket-Version: 13"
	frame := "\x81\x81\x00\x00\x00\x00x"
	tests := []struct {
		name, request string
		status        int
		header        string // that the response must have
	}{
		{"H1 POST", vary(t, "GET ", "POST "), 405, "Allow: GET"},
		{"H1 PUT", vary(t, "GET ", "PUT "), 405, "Allow: GET"},
		{"H1 OPTIONS", vary(t, "GET ", "OPTIONS "), 405, "Allow: GET"},
		{"H2 HEAD", vary(t, "GET ", "HEAD "), 405, "Allow: GET"},
		{"H3 plain GET", "GET /websocket HTTP/1.1\r\nHost: a\r\n\r\n", 426, "Upgrade: websocket"},
		{"H4 two tokens", vary(t, "Connection: Upgrade", "Connection: keep-alive, Upgrade"), 101, ""},
		{"H5 two lines", vary(t, "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"), 101, ""},
		{"H6 case", vary(t, "Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WebSocket\r\nCONNECTION: UPGRADE"), 101, ""},
		{"H7 xUpgrade", vary(t, "Connection: Upgrade", "Connection: xUpgrade"), 426, "Upgrade: websocket"},
		{"H7 Upgrade-Insecure", vary(t, "Connection: Upgrade", "Connection: Upgrade-Insecure"), 426, ""},
		{"H7 websockets", vary(t, "Upgrade: websocket", "Upgrade: websockets"), 426, ""},
		{"H8 no key", vary(t, key+"\r\n", ""), 400, ""},
		{"H9 empty key", vary(t, key, "Sec-WebSocket-Key:"), 400, ""},
		{"H9 no base64", vary(t, key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400, ""},
		{"H9 15 bytes", vary(t, key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400, ""},
		{"H9 17 bytes", vary(t, key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), 400, ""},
		{"H9 10 KB", vary(t, key, "Sec-WebSocket-Key: "+strings.Repeat("A", 10_000)), 400, ""},
		{"H10 two keys", with(t, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400, ""},
		{"H11 no version", vary(t, version+"\r\n", ""), 426, "Sec-Websocket-Version: 13"},
		{"H11 version 8", vary(t, version, "Sec-WebSocket-Version: 8"), 426, "Sec-Websocket-Version: 13"},
		{"H11 two versions", vary(t, version, "Sec-WebSocket-Version: 13, 8"), 426, "Sec-Websocket-Version: 13"},
		{"H11 version 013", vary(t, version, "Sec-WebSocket-Version: 013"), 426, "Sec-Websocket-Version: 13"},
		{"H12 HTTP/1.0", vary(t, "HTTP/1.1", "HTTP/1.0"), 400, ""},
		{"H13 HTTP/2.0", vary(t, "HTTP/1.1", "HTTP/2.0"), 505, ""},
		{"H13 h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""},
		{"H14 no Host", vary(t, "Host: chat.example\r\n", ""), 400, ""},
		{"H14 two Hosts", with(t, "Host: other.example"), 400, ""},
		{"H14 bad Host", vary(t, "Host: chat.example", "Host: a b"), 400, ""},
		{"H15 method", vary(t, "GET", "G@T"), 400, ""},
		{"H15 http", vary(t, "HTTP/1.1", "http/1.1"), 400, ""},
		{"H15 no colon", with(t, "what is this"), 400, ""},
		{"H20 body", with(t, "Content-Length: 5") + "hello" + frame, 400, "Connection: close"},
		{"H20 body in full", with(t, "Content-Length: 7") + frame, 400, "Connection: close"},
		{"H21 chunked", with(t, "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n" + frame, 400, "Connection: close"},
		{"H22 both", with(t, "Content-Length: 5", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n" + frame, 400, "Connection: close"},
		{"H23 xchunked", with(t, "Transfer-Encoding: xchunked"), 501, ""},
		{"H23 two encodings", with(t, "Transfer-Encoding: gzip, chunked"), 501, ""},
		{"H24 20 KB", with(t, "X: "+strings.Repeat("x", 21_000)), 431, ""},
		{"H24 20 MB", with(t, "X: "+strings.Repeat("x", 20<<20)), 431, ""},
		{"H25 3,000 lines", with(t, strings.TrimSuffix(strings.Repeat("X: y\r\n", 5_000), "\r\n")), 431, ""},
		{"H26 space before colon", with(t, "X : y"), 400, ""},
		{"H26 NUL", with(t, "X: a\x00b"), 400, ""},
		{"H26 bare CR", with(t, "X: a\rb"), 400, ""},
		{"H26 non-ASCII name", with(t, "Xé: y"), 400, ""},
		{"H32 TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 500) + "\r\n\r\n", 400, ""},
		{"H33 slash", vary(t, "/websocket", "/websocket/"), 404, ""},
		{"H33 two slashes", vary(t, "/websocket", "//websocket"), 307, ""},
		{"H33 dots", vary(t, "/websocket", "/a/../websocket"), 307, ""},
		{"H33 case", vary(t, "/websocket", "/WebSocket"), 404, ""},
		{"H34 nothing but commas", with(t, "Sec-WebSocket-Protocol: "+strings.Repeat(" ,", 4_000)), 101, ""},
		{"H34 unknown names", with(t, "Sec-WebSocket-Protocol: chat, doyasa.v2, DOYASA.V1"), 101, ""},
		{"H34 ours among others", with(t, "Sec-WebSocket-Protocol: chat,doyasa.v1"), 101, "Sec-WebSocket-Protocol: doyasa.v1"},
		{"H35 extensions", with(t, `Sec-WebSocket-Extensions: foo; bar="b\"az", ;;;, permessage-deflate`), 101, ""},
		{"H37 escapes", with(t, "User-Agent: \x1b[2J", "Origin: http://chat.example"), 400, ""},
		{"H37 line ends", vary(t, "/websocket", "/websocket%0d%0aX:%20y"), 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, head, _ := e.exchange(tt.request)
			if r.StatusCode != tt.status {
				t.Fatalf("%d, want %d", r.StatusCode, tt.status)
			}
			if !strings.Contains(head, "\r\n"+tt.header) {
				t.Errorf("%q lacks %q", head, tt.header)
			}
			if refused := tt.status == 400 || tt.status == 405 || tt.status == 426; refused && !r.Close {
				t.Errorf("refused without Connection: close: %q", head)
			}
			if tt.status == 426 && strings.Contains(head, "\r\nUpgrade:") && !strings.Contains(head, "\r\nConnection: Upgrade") {
				t.Errorf("Upgrade without Connection: Upgrade: %q", head)
			}
			if tt.header == "" && strings.Contains(head, "Sec-WebSocket-Protocol") || strings.Contains(head, "Extensions") {
				t.Errorf("an answer to an offer that was none: %q", head)
			}
		})
	}
	if strings.ContainsAny(e.log.String(), "\x1b\r") {
		t.Error("the log has control characters of a peer")
	}
	for line := range strings.Lines(e.log.String()) {
		if !strings.HasPrefix(line, "{") {
			t.Errorf("a peer has broken a line of the log: %q", line)
		}
	}
}

// H16 to H20b: which pages may connect, and post.
func TestOrigins(t *testing.T) {
	proxied := func(c *config.Config) {
		c.PublicURL, c.AllowedOrigins = "https://chat.example", []string{"https://partner.example:8443", "http://[2001:db8::1]:3000"}
	}
	null := func(c *config.Config) { c.AllowedOrigins = []string{"null"} }
	tests := []struct {
		change       func(*config.Config)
		host, origin string
		want         bool
	}{
		{nil, "chat.example", "", true}, // not a browser
		{nil, "chat.example", "http://chat.example", true},
		{nil, "chat.example", "https://chat.example", true}, // a proxy may have ended TLS
		{nil, "chat.example", "HTTP://CHAT.example", true},
		{nil, "CHAT.example:80", "http://chat.example", true},
		{nil, "chat.example", "http://chat.example:80", true},
		{nil, "chat.example:3000", "http://chat.example:3000", true},
		{nil, "localhost:3000", "http://localhost:3000", true},
		{nil, "[::1]:3000", "http://[::1]:3000", true},
		{nil, "[0:0::1]:3000", "http://[::1]:3000", true},
		{nil, "[::1]", "https://[::1]", true},
		{nil, "chat.example", "https://evil.example", false},             // H16
		{nil, "chat.example", "null", false},                             // H17
		{nil, "chat.example", "https://chat.example.evil.com", false},    // H18
		{nil, "chat.example", "https://evilchat.example", false},         // H18
		{nil, "chat.example", "https://sub.chat.example", false},         // H18
		{nil, "sub.chat.example", "https://chat.example", false},         // H18
		{nil, "chat.example:3000", "http://chat.example", false},         // H19
		{nil, "chat.example:3000", "http://chat.example:3001", false},    // H19
		{nil, "chat.example:3000", "https://chat.example:3000", false},   // H19
		{nil, "chat.example", "https://chat.example:8443", false},        // H19
		{nil, "chat.example:443", "http://chat.example", false},          // H19
		{nil, "chat.example", "ws://chat.example", false},                // not an origin of a page
		{nil, "chat.example", "file://", false},                          //
		{nil, "chat.example", "http://chat.example/", true},              // forgiven: a slash
		{nil, "chat.example", "http://chat.example/path", false},         //
		{nil, "chat.example", "http://evil.example@chat.example", false}, //
		{nil, "chat.example", "*", false},
		{nil, "[::1]:3000", "http://[::2]:3000", false},
		// A proxy that rewrites Host.
		{proxied, "doyasa:3000", "https://chat.example", true},
		{proxied, "doyasa:3000", "https://chat.example:443", true},
		{proxied, "doyasa:3000", "https://partner.example:8443", true},
		{proxied, "doyasa:3000", "http://[2001:db8:0:0::1]:3000", true},
		{proxied, "doyasa:3000", "http://doyasa:3000", true},
		{proxied, "doyasa:3000", "http://chat.example", false},
		{proxied, "doyasa:3000", "https://partner.example", false},
		{proxied, "doyasa:3000", "https://evil.example", false},
		{null, "chat.example", "null", true},
		{null, "chat.example", "https://evil.example", false},
	}
	edges := map[string]*edge{"nil": newEdge(t, nil), "proxied": newEdge(t, proxied), "null": newEdge(t, null)}
	for _, tt := range tests {
		e := edges["nil"]
		switch {
		case tt.change != nil && strings.HasPrefix(tt.host, "doyasa"):
			e = edges["proxied"]
		case tt.change != nil:
			e = edges["null"]
		}
		request := vary(t, "Host: chat.example", "Host: "+tt.host)
		post := "POST /api/rooms/o/messages HTTP/1.1\r\nHost: " + tt.host + "\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"
		if tt.origin != "" {
			request = strings.Replace(request, "\r\n\r\n", "\r\nOrigin: "+tt.origin+"\r\n\r\n", 1)
			post = strings.Replace(post, "\r\n\r\n", "\r\nOrigin: "+tt.origin+"\r\n\r\n", 1)
		}
		opened, _, _ := e.exchange(request)
		posted, _, _ := e.exchange(post + "x")
		wantOpened, wantPosted := 403, 403
		if tt.want {
			wantOpened, wantPosted = 101, 200
		}
		if posted.StatusCode == 429 { // the test's address is over its rate, so the origin was accepted
			posted.StatusCode = 200
		}
		if opened.StatusCode != wantOpened || posted.StatusCode != wantPosted {
			t.Errorf("Host %q, Origin %q: handshake %d, POST %d, want %d, %d", tt.host, tt.origin, opened.StatusCode, posted.StatusCode, wantOpened, wantPosted)
		}
	}
	r, _, _ := edges["nil"].exchange(with(t, "Origin: http://chat.example", "Origin: http://chat.example"))
	if r.StatusCode != 403 {
		t.Errorf("two Origins: %d, want 403", r.StatusCode)
	}
}

// Over TLS the scheme is known.
func TestOriginOverTLS(t *testing.T) {
	e := newEdge(t, nil)
	for origin, want := range map[string]bool{"https://chat.example": true, "http://chat.example": false} {
		if got := e.s.originAllowed(origin, "chat.example", true); got != want {
			t.Errorf("originAllowed(%q, TLS) = %v, want %v", origin, got, want)
		}
	}
}

// upgrade opens a WebSocket, writes the request and frames after it in pieces, and returns the connection after
// the 101.
func (e *edge) upgrade(pieces ...string) (net.Conn, *bufio.Reader) {
	e.t.Helper()
	nc := e.dial()
	for _, piece := range pieces {
		if _, err := io.WriteString(nc, piece); err != nil {
			e.t.Fatal(err)
		}
	}
	b := bufio.NewReader(nc)
	r, err := http.ReadResponse(b, nil)
	if err != nil || r.StatusCode != 101 {
		e.t.Fatalf("%v, %v, want 101", r, err)
	}
	return nc, b
}

// H30, H31: no byte after the request is lost, wherever the stream is cut.
func TestEarlyFrames(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.MessagesPerSecond = 0 })
	var frames []byte
	var want bytes.Buffer
	h := wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true, MaskingKey: [4]byte{9, 8, 7, 6}}
	for i := range 30 { // more than the 4,096 bytes that net/http reads ahead
		text := fmt.Sprint(i, strings.Repeat("x", 200))
		frames = wsproto.AppendFrame(frames, h, []byte(text))
		want.Write(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText}, []byte(text)))
	}
	stream := strings.Replace(handshake, "/websocket", "/websocket?room=early", 1) + string(frames)
	ends := []int{len(stream)}
	for i := len(stream) - len(frames) - 5; i < len(stream)-len(frames)+20; i++ {
		ends = append(ends, i)
	}
	ends = append(ends, 4095, 4096, 4097, len(stream)-1)
	for _, end := range ends {
		nc, b := e.upgrade(stream[:end], stream[end:])
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("cut at %d: the echo differs (%v)", end, err)
		}
		nc.Close()
	}
}

// H38: a client that goes before it reads the 101 leaves nothing behind; TestMain checks for goroutines.
func TestGoneBeforeTheAnswer(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.Connections = 400 })
	for range 300 {
		nc := e.dial()
		io.WriteString(nc, handshake)
		nc.Close()
	}
	// It is answered last: all clients before it have been accepted or refused by then.
	nc, _ := e.upgrade(handshake)
	nc.Close()
	e.shutdown()
	if open, _ := e.s.connections.Open(); open != 0 {
		t.Errorf("%d connections are left, want none", open)
	}
}

// H36: the limit itself is allowed, one more is not.
func TestConnectionsFull(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.Connections = 3 })
	var open []net.Conn
	for range 3 {
		nc, _ := e.upgrade(handshake)
		open = append(open, nc)
	}
	r, _, _ := e.exchange(handshake)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d, Retry-After %q, want 503 with it", r.StatusCode, r.Header.Get("Retry-After"))
	}
	if r, _, body := e.exchange("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); r.StatusCode != 200 || body != "ok\n" {
		t.Errorf("/healthz = %d %q meanwhile, want 200", r.StatusCode, body)
	}
	for _, nc := range open {
		nc.Close()
	}
}

// The number of old messages to begin with is brought into its bounds, however large it is.
func TestQueryHistory(t *testing.T) {
	s := &Server{cfg: config.Default()}
	for given, want := range map[string]int{"": 50, "x": 50, "0": 0, "-1": 0, "200": 200, "201": 200, strings.Repeat("9", 30): 200, "-" + strings.Repeat("9", 30): 0} {
		q := s.parseQuery(httptest.NewRequest("GET", "/websocket?history="+given, nil), limit.Peer{})
		if q.History != want {
			t.Errorf("history=%s: %d messages, want %d", given, q.History, want)
		}
	}
}
