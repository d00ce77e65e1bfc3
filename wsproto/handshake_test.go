package wsproto

import (
	"bufio"
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/vectors"
)

// The handshake of §1.2, which the vectors vary.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

var (
	sampleRequest = []string{"GET /chat HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + sampleKey, "Sec-WebSocket-Version: 13"}
	sampleResponse = []string{"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}
)

// check parses a request as net/http does and gives it to CheckRequest.
func check(r *http.Request) (Request, error) {
	return CheckRequest(r.Method, r.ProtoMajor, r.ProtoMinor, r.Header)
}

func TestRequestVectors(t *testing.T) {
	for _, v := range vectors.Read(t, "testdata/request.txt") {
		t.Run(v.Name, func(t *testing.T) {
			head := v.Head(t, sampleRequest)
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
			if err != nil {
				t.Fatal(err)
			}
			status := v.Number(t, "status", 0)
			got, err := check(r)
			if status == 101 {
				if err != nil || got.Key != sampleKey || strings.Join(got.Subprotocols, " ") != v.Get("subprotocols") {
					t.Errorf("CheckRequest(%q) = %+v, %v, want subprotocols %q", head, got, err, v.Get("subprotocols"))
				}
				return
			}
			var he *HandshakeError
			if !errors.As(err, &he) {
				t.Fatalf("CheckRequest(%q) = %+v, %v, want a *HandshakeError of status %d", head, got, err, status)
			}
			want := http.Header{}
			for _, field := range v.All("field") {
				name, value, _ := strings.Cut(field, ": ")
				want.Add(name, value)
			}
			if he.Status != status || !maps.EqualFunc(http.Header(he.Header), want, slices.Equal) || he.Section == "" || he.Detail == "" {
				t.Errorf("CheckRequest(%q) = %+v, want status %d, header %q", head, he, status, want)
			}
			if got.Key != "" || got.Subprotocols != nil {
				t.Errorf("CheckRequest(%q) = %+v beside its error, want zeros", head, got)
			}
		})
	}
}

func TestResponseVectors(t *testing.T) {
	for _, v := range vectors.Read(t, "testdata/response.txt") {
		t.Run(v.Name, func(t *testing.T) {
			head := v.Head(t, sampleResponse)
			offered := strings.Fields(v.Get("offered"))
			subprotocol, n, err := ParseResponse(append(bytes.Clone(head), "\x81\x00"...), sampleKey, offered...)
			switch v.Get("result") {
			case "ok":
				if subprotocol != v.Get("subprotocol") || n != len(head) || err != nil {
					t.Errorf("ParseResponse(%q) = %q, %d, %v, want %q, %d", head, subprotocol, n, err, v.Get("subprotocol"), len(head))
				}
			case "refused":
				var he *HandshakeError
				if subprotocol != "" || n != 0 || !errors.As(err, &he) || he.Detail == "" {
					t.Errorf("ParseResponse(%q) = %q, %d, %v, want a *HandshakeError", head, subprotocol, n, err)
				}
			default:
				t.Fatalf("result %q", v.Get("result"))
			}
			for cut := range head {
				if _, n, err := ParseResponse(head[:cut], sampleKey, offered...); n != 0 || !errors.Is(err, ErrNeedMore) {
					t.Fatalf("ParseResponse(%q) = %d, %v, want ErrNeedMore", head[:cut], n, err)
				}
			}
		})
	}
}

func TestAcceptKey(t *testing.T) {
	if got, want := AcceptKey(sampleKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want { // §1.3
		t.Errorf("AcceptKey(%q) = %q, want %q", sampleKey, got, want)
	}
}

func TestAppendResponse(t *testing.T) {
	base := strings.Join(sampleResponse, "\r\n") + "\r\n"
	tests := []struct{ subprotocol, want string }{
		{"", base + "\r\n"},
		{"doyasa.v1", base + "Sec-WebSocket-Protocol: doyasa.v1\r\n\r\n"},
		{"a\r\nSet-Cookie: b=c", base + "\r\n"},
		{"a b", base + "\r\n"},
	}
	for _, tt := range tests {
		if got := string(AppendResponse([]byte("x"), sampleKey, tt.subprotocol)); got != "x"+tt.want {
			t.Errorf("AppendResponse(%q) = %q, want %q", tt.subprotocol, got, "x"+tt.want)
		}
	}
	// A key that CheckRequest would refuse is hashed, never echoed.
	if got := AppendResponse(nil, "\r\nX: y", ""); bytes.Contains(got, []byte("X: y")) {
		t.Errorf("AppendResponse echoes the key: %q", got)
	}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { AppendResponse(dst, sampleKey, "doyasa.v1") }); n != 0 {
		t.Errorf("AppendResponse into capacity allocates %v times, want never", n)
	}
	if n := testing.AllocsPerRun(100, func() { AppendResponse(nil, sampleKey, "doyasa.v1") }); n > 2 {
		t.Errorf("AppendResponse into nothing allocates %v times, want once, or twice under the race detector", n)
	}
}

func TestAppendRequest(t *testing.T) {
	head := AppendRequest(nil, ClientRequest{Host: "server.example.com", Key: sampleKey, Target: "/chat"})
	if want := strings.Join(sampleRequest, "\r\n") + "\r\n\r\n"; string(head) != want {
		t.Errorf("AppendRequest = %q, want %q", head, want)
	}
	head = AppendRequest(nil, ClientRequest{
		Host: "h", Target: "/どや?name=a b", Origin: "https://example.org", Key: sampleKey, Subprotocols: []string{"doyasa.v1", "not a token", "chat"},
	})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatalf("AppendRequest = %q: %v", head, err)
	}
	got, err := check(r)
	if err != nil || strings.Join(got.Subprotocols, " ") != "doyasa.v1 chat" {
		t.Errorf("CheckRequest(AppendRequest) = %+v, %v", got, err)
	}
	if r.URL.Path != "/どや" || r.URL.Query().Get("name") != "a b" || r.Header.Get("Origin") != "https://example.org" {
		t.Errorf("AppendRequest = %q, which is read as %v", head, r)
	}
	if !bytes.HasPrefix(AppendRequest(nil, ClientRequest{}), []byte("GET / HTTP/1.1\r\n")) {
		t.Error("an empty Target is not /")
	}
}

// TestNoHeaderSplitting: nothing in any value ends its line.
func TestNoHeaderSplitting(t *testing.T) {
	const evil = "x\r\nEvil: 1\nEvil: 2\rEvil: 3\x00\x7f HTTP/1.1"
	head := AppendRequest(nil, ClientRequest{Host: evil, Target: evil, Origin: evil, Key: evil, Subprotocols: []string{evil}})
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	if len(lines) != 7 || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00\x7f") {
		t.Errorf("AppendRequest makes the lines %q, want 7 of visible characters", lines)
	}
	if strings.Count(lines[0], " ") != 2 {
		t.Errorf("request line %q, want two spaces", lines[0])
	}
}

// TestSubprotocolsAreBounded: what a request may hold costs little, whatever it is filled with.
func TestSubprotocolsAreBounded(t *testing.T) {
	header := func(protocols string) map[string][]string {
		return map[string][]string{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Key": {sampleKey},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {protocols}}
	}
	for n, want := range map[int]int{32: 32, 33: 32, 100000: 32} {
		r, err := CheckRequest("GET", 1, 1, header(strings.Repeat("a,", n)))
		if err != nil || len(r.Subprotocols) != want {
			t.Errorf("%d subprotocols: %d kept, %v, want %d", n, len(r.Subprotocols), err, want)
		}
	}
	h := header(strings.Repeat(" ,", 4000)) // H34
	var r Request
	var err error
	if n := testing.AllocsPerRun(10, func() { r, err = CheckRequest("GET", 1, 1, h) }); n != 0 || err != nil || r.Subprotocols != nil {
		t.Errorf("4,000 commas: %v allocations, %+v, %v, want none", n, r, err)
	}
}

func TestResponseIsBounded(t *testing.T) {
	start := strings.Join(sampleResponse, "\r\n") + "\r\nX: "
	for _, tt := range []struct {
		length int
		want   string
	}{
		{maxResponse, "ok"},
		{maxResponse + 1, "refused"},
		{10 * maxResponse, "refused"},
	} {
		b := []byte(start + strings.Repeat("x", tt.length-len(start)-4) + "\r\n\r\n")
		_, n, err := ParseResponse(b, sampleKey)
		if (err == nil) != (tt.want == "ok") || err == nil && n != tt.length {
			t.Errorf("ParseResponse of %d bytes = %d, %v, want %s", tt.length, n, err, tt.want)
		}
	}
	if _, _, err := ParseResponse(make([]byte, maxResponse-1), sampleKey); !errors.Is(err, ErrNeedMore) {
		t.Errorf("ParseResponse below the bound = %v, want ErrNeedMore", err)
	}
}

func TestHandshakeErrors(t *testing.T) {
	_, err := CheckRequest("POST", 1, 1, nil)
	if got, want := err.Error(), "websocket: RFC 6455 §4.2.1: method is not GET"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	_, _, err = ParseResponse([]byte("HTTP/1.1 403 Forbidden\r\n\r\n"), sampleKey)
	var he *HandshakeError
	if !errors.As(err, &he) || he.Status != 403 {
		t.Errorf("ParseResponse of a 403 = %v, want that status", err)
	}
}

// FuzzCheckRequest: whatever net/http lets through is accepted, with tokens only, or refused with a status; what is accepted is
// answered with a response that a client takes.
func FuzzCheckRequest(f *testing.F) {
	for _, file := range []string{"testdata/request.txt", "testdata/http.txt"} {
		for _, v := range vectors.Read(f, file) {
			if head := v.Head(f, sampleRequest); len(head) < 100_000 {
				f.Add(head)
			}
		}
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return
		}
		got, err := check(r)
		if err != nil {
			var he *HandshakeError
			if !errors.As(err, &he) || he.Status < 400 || he.Status > 499 || he.Section == "" {
				t.Fatalf("CheckRequest = %#v, want a *HandshakeError of 4xx", err)
			}
			return
		}
		if r.Method != "GET" || len(got.Key) != 24 || len(got.Subprotocols) > 32 {
			t.Fatalf("CheckRequest = %+v for %q", got, head)
		}
		for _, s := range append(got.Subprotocols, "") {
			response := AppendResponse(nil, got.Key, s)
			chosen, n, err := ParseResponse(response, got.Key, got.Subprotocols...)
			if chosen != s || n != len(response) || err != nil {
				t.Fatalf("ParseResponse(%q) = %q, %d, %v, want %q", response, chosen, n, err, s)
			}
		}
	})
}

// FuzzParseResponse: what is accepted ends with an empty line, is not accepted sooner, and net/http calls it a 101 too.
func FuzzParseResponse(f *testing.F) {
	for _, v := range vectors.Read(f, "testdata/response.txt") {
		f.Add(v.Head(f, sampleResponse), v.Get("offered"))
	}
	f.Fuzz(func(t *testing.T, b []byte, offered string) {
		subprotocols := strings.Fields(offered)
		subprotocol, n, err := ParseResponse(b, sampleKey, subprotocols...)
		if err != nil {
			var he *HandshakeError
			if subprotocol != "" || n != 0 || !errors.Is(err, ErrNeedMore) && !errors.As(err, &he) {
				t.Fatalf("ParseResponse(%q) = %q, %d beside %v", b, subprotocol, n, err)
			}
			return
		}
		if subprotocol != "" && !slices.Contains(subprotocols, subprotocol) {
			t.Fatalf("ParseResponse(%q) chose %q of %q", b, subprotocol, subprotocols)
		}
		if !bytes.HasSuffix(b[:n], []byte("\r\n\r\n")) || bytes.Count(b[:n], []byte("\r\n\r\n")) != 1 {
			t.Fatalf("ParseResponse(%q) took %d bytes", b, n)
		}
		if _, _, err := ParseResponse(b[:n-1], sampleKey, subprotocols...); !errors.Is(err, ErrNeedMore) {
			t.Fatalf("ParseResponse(%q) = %v, want ErrNeedMore", b[:n-1], err)
		}
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b[:n])), nil)
		if err != nil || r.StatusCode != 101 {
			t.Fatalf("ParseResponse took %q, net/http: %v, %v", b[:n], r, err)
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(sampleRequest, "\r\n") + "\r\n\r\n")))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		req, err := check(r)
		if err != nil {
			b.Fatal(err)
		}
		AppendResponse(dst, req.Key, "")
	}
}
