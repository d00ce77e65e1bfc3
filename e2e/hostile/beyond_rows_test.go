package hostile_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// beyondRows are not in the catalogue: what else a stranger might think of.
var beyondRows = []row{
	{id: "E1", input: "messages that many begin and nobody ends", run: runUnfinished},
	{id: "E2", input: "a request in front of the handshake, another behind it", run: runPipelined},
	{id: "E3", input: "urgent data (TCP's out-of-band byte)", run: runUrgent},
	{id: "E4", input: "one byte read at a time", run: runOneByteReader},
	{id: "E5", input: "bodies that drip, lie, or never end, to the API", run: runBodiesToAPI},
	{id: "E6", input: "queries that are long, doubled and malformed", run: runQueries},
	{id: "E7", input: "fragments of large messages from many, interleaved", run: runInterleaved},
	{id: "E8", input: "random bytes, before and behind the handshake", run: runNoise},
	{id: "E9", input: "more rooms than there may be", run: runManyRooms},
	{id: "E10", input: "messages and Close at once from many, then reset", run: runSayAndReset},
	{id: "E11", input: "names as long and as deep as letters go", run: runDeepNames},
	{id: "E12", input: "renamed all the time", run: runRenames},
}

// runUnfinished: unfinished messages of all connections share a bound; who makes one longer beyond it is told to come again, and a
// bystander's small messages are never refused for it.
func runUnfinished(t *testing.T, s *stand) {
	growth := s.server.WatchRSS(t)
	begun := append(wire.Header(nil, wire.Binary, 0x80, 60_000), 0, 0, 0, 0)
	begun = append(begun, make([]byte, 59_999)...)
	var peers []*peer
	for range size(2000, 600) {
		p := s.dial(t, "?room=unfinished")
		p.SetWriteDeadline(time.Now().Add(wire.Patience))
		p.Write(begun) // may be refused in the middle
		peers = append(peers, p)
	}
	if grown := growth(); grown > 192<<20 {
		t.Errorf("%d MiB more in use", grown>>20)
	}
	for _, p := range peers {
		p.Close()
	}
}

// runPipelined: HTTP in front of the handshake is answered; a second handshake behind it is no frame.
func runPipelined(t *testing.T, s *stand) {
	conn := s.connect(t)
	conn.Write(append([]byte("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), wire.Request("a", "/websocket")...))
	response, err := conn.Response("GET")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	if err := conn.Accepted(); err != nil {
		t.Fatal(err)
	}
	p := &peer{Conn: conn, t: t, stand: s}
	p.open()
	conn.Write(wire.Request("a", "/websocket"))
	p.closed(1002)
}

// runUrgent: the out-of-band byte is not in the stream, and what is there is judged as it is.
func runUrgent(t *testing.T, s *stand) {
	p := s.dial(t, "")
	p.Write(wire.Append(nil, wire.Fin|wire.Text, []byte("in band")))
	raw, err := p.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte{0xFF}, syscall.MSG_OOB, nil) })
	if err != nil {
		t.Fatal(err)
	}
	p.Write(wire.Append(nil, wire.Fin|wire.Text, []byte("behind")))
	p.expect(text("in band"), text("behind"))
	p.open()
}

// runOneByteReader: who takes a byte now and then, while the room says much, is not kept for ever, and nobody waits for it.
func runOneByteReader(t *testing.T, s *stand) {
	conn := s.connect(t)
	conn.SetReadBuffer(2048)
	conn.Write(wire.Request("a", "/websocket?room=trickle"))
	if err := conn.Accepted(); err != nil {
		t.Fatal(err)
	}
	talker := s.dial(t, "?room=trickle")
	big := strings.Repeat("t", 60_000)
	gone := make(chan struct{}) // closed when the trickling reader has been cut off
	go func() {
		defer close(gone)
		one := make([]byte, 1)
		for {
			if _, err := conn.TCPConn.Read(one); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond) // a byte at a time is what is tested
		}
	}()
	for i := range 4 * s.timers.burst {
		message := fmt.Sprint(i, " ", big)
		if err := talker.Send(wire.Text, []byte(message)); err != nil {
			t.Fatal(err)
		}
		talker.expect(text(message))
	}
	talker.open()
	conn.SetLinger(0)
	conn.Close()
	<-gone
}

// runBodiesToAPI: bodies end at their limits in bytes and time.
func runBodiesToAPI(t *testing.T, s *stand) {
	for name, c := range map[string]struct {
		request  string
		statuses []int // 0: ended without an answer
	}{
		"too long":               {"Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), []int{413}},
		"promised and not sent":  {"Content-Length: 5\r\n\r\nabc", []int{408}},
		"promised far too much":  {"Content-Length: 9223372036854775807\r\n\r\nabc", []int{408, 413}},
		"chunks without an end":  {"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("5\r\nhello\r\n", 2000), []int{413}},
		"a chunk of 2^63":        {"Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\nx", []int{400, 408, 413}},
		"malformed chunks":       {"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", []int{400, 408}},
		"an expectation":         {"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n", []int{100, 408, 413}},
		"not UTF-8":              {"Content-Length: 3\r\n\r\na\xff\xfe", []int{400}},
		"nothing":                {"Content-Length: 0\r\n\r\n", []int{400}},
		"a key that is none":     {"Content-Length: 1\r\nIdempotency-Key: x\r\n\r\nx", []int{400}},
		"a page of another site": {"Content-Length: 1\r\nOrigin: https://evil.example\r\n\r\nx", []int{403}},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.connect(t)
			go io.WriteString(conn, "POST /api/rooms/bodies/messages HTTP/1.1\r\nHost: a\r\n"+c.request)
			response, err := conn.Response("POST")
			status := 0
			if err == nil {
				status = response.StatusCode
			}
			if !slices.Contains(c.statuses, status) {
				t.Errorf("%d, %v; want one of %d", status, err, c.statuses)
			}
		})
	}
}

// runQueries: whatever stands in the query, the answer is a place in a room or Close 1008 with a code.
func runQueries(t *testing.T, s *stand) {
	for _, query := range []string{"?" + strings.Repeat("a=b&", 3000), "?room=a&room=b&room=c", "?name=%", "?room=%c3%28", "?;;;", "?&&&&", "?a%00b=c",
		"?name=" + strings.Repeat("%f0%9f%91%a9", 900), "?session=" + strings.Repeat("s", 10_000), "?epoch=" + strings.Repeat("e", 10_000) + "&after=1", "?history=" + strings.Repeat("9", 5000)} {
		for _, header := range [][]string{nil, {v1}} {
			p := s.dial(t, query, header...)
			p.Send(wire.Close, wire.ClosePayload(1000, ""))
			for {
				f, err := p.next()
				if err != nil {
					t.Fatalf("%.60q: %v, want Close", query, err)
				}
				if code := f.Code(); code != 0 {
					if code != 1000 && code != 1008 {
						t.Errorf("%.60q: Close %d", query, code)
					}
					break
				}
			}
		}
	}
}

// runInterleaved: messages that come in pieces, from many at once, are not mixed up.
func runInterleaved(t *testing.T, s *stand) {
	var peers []*peer
	for range 20 {
		peers = append(peers, s.dial(t, "?room=interleaved"))
	}
	for _, p := range peers {
		p.open()
	}
	var reading sync.WaitGroup
	for _, p := range peers { // each by itself, or the last would be slow to read
		reading.Go(func() {
			seen := map[byte]bool{}
			for range peers {
				f, err := p.next()
				if err != nil || len(f.Payload) != 50_000 || bytes.Count(f.Payload, f.Payload[:1]) != 50_000 || seen[f.Payload[0]] {
					t.Errorf("%v, %v; want each one's message once, whole", f, err)
					return
				}
				seen[f.Payload[0]] = true
			}
		})
	}
	for piece := range 100 {
		first := byte(wire.Continuation)
		switch piece {
		case 0:
			first = wire.Text
		case 99:
			first |= wire.Fin
		}
		for i, p := range peers {
			p.Write(wire.Append(nil, first, bytes.Repeat([]byte{'a' + byte(i)}, 500)))
		}
	}
	reading.Wait()
}

// runNoise: bytes without any sense are never answered with a handshake, nor with anything but a Close frame behind one.
func runNoise(t *testing.T, s *stand) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range size(2000, 200) {
		noise := make([]byte, 1+rng.IntN(300))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		if i%2 == 0 {
			conn := s.connect(t)
			conn.Write(noise)
			conn.CloseWrite()
			if response, err := conn.Response("GET"); err == nil && response.StatusCode == http.StatusSwitchingProtocols {
				t.Fatalf("seed %d: %x is answered with 101", seed, noise)
			}
			conn.Close()
			continue
		}
		p := s.dial(t, "?room=noise")
		p.Write(noise)
		p.CloseWrite()
		p.gone(1000, 1002, 1005, 1007, 1008, 1009)
		p.Conn.Close()
	}
}

// runManyRooms: a server of its own, with few rooms: empty ones make place, and when all have somebody, who comes is told so.
func runManyRooms(t *testing.T, s *stand) {
	few := s.start(t, "--rooms-max", "5")
	dial := func(room int) *peer {
		conn, err := wire.Dial(few.Addr, fmt.Sprintf("/websocket?room=many%d", room))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &peer{Conn: conn, t: t, stand: s}
	}
	for i := range 200 { // one after the other: the empty ones retire
		p := dial(i)
		p.Send(wire.Text, []byte("here"))
		p.expect(text("here"))
		p.Send(wire.Close, nil)
		if f, err := p.ReadFrame(); f.Code() != 1005 {
			t.Fatalf("%v, %v; want Close", f, err)
		}
		p.Close()
	}
	for i := range 4 { // and the default room
		p := dial(1000 + i)
		p.Send(wire.Text, []byte("here"))
		p.expect(text("here"))
	}
	full := dial(2000)
	if f, err := full.ReadFrame(); f.Code() != 1013 || !strings.Contains(string(f.Payload), "rooms_full") {
		t.Errorf("%v (code %d), %v; want Close 1013 rooms_full", f, f.Code(), err)
	}
}

// runSayAndReset: what was said before a reset may or may not be delivered, but to all or nobody and once.
func runSayAndReset(t *testing.T, s *stand) {
	for i := range size(500, 100) {
		p := s.dial(t, "")
		p.Write(slices.Concat(wire.Append(nil, wire.Fin|wire.Text, fmt.Appendf(nil, "reset %d", i)), wire.Append(nil, wire.Fin|wire.Close, nil)))
		p.SetLinger(0)
		p.Conn.Close()
	}
}

func runDeepNames(t *testing.T, s *stand) {
	for _, name := range []string{"e" + strings.Repeat("\u0301", 500), strings.Repeat("👩‍👩‍👧‍👦", 32), strings.Repeat("a\u0301", 33), strings.Repeat("\U0001F1EF\U0001F1F5", 33), strings.Repeat("ﷺ", 40)} {
		if reason := s.dial(t, "?name="+url.QueryEscape(name), v1).refusal(); reason != "bad_name" {
			t.Errorf("%.40q: refused as %q, want bad_name", name, reason)
		}
	}
}

// runRenames: a name is as much as a message, so that nobody's screen is full of it.
func runRenames(t *testing.T, s *stand) {
	p, _ := s.dialV1(t, "?room=renames")
	go func() {
		for i := range 10_000 {
			if p.Send(wire.Text, fmt.Appendf(nil, `{"type":"name","name":"n%d"}`, i)) != nil {
				return
			}
		}
	}()
	for {
		f, err := p.next()
		if err != nil {
			t.Fatalf("%v, want Close 1008", err)
		}
		if code := f.Code(); code == 1008 {
			return
		} else if code != 0 {
			t.Fatalf("Close %d, want 1008", code)
		}
	}
}
