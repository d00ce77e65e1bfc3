// Package interop_test lets clients nobody here wrote talk to the running server: coder/websocket, gobwas/ws, lxzan/gws, and
// Debian's python3-websockets (testdata/client.py).
package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

// sizes are those at which the form of the length changes, and one that takes many reads.
var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20}

// pieces reads one piece at a time (io.Reader).
type pieces struct{ left [][]byte }

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) > 0 && len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	return n, nil
}

var rooms atomic.Int64

// each runs f for each library with a client in a room of its own.
func each(t *testing.T, s *doyasa.Server, subprotocol, query string, f func(t *testing.T, c client)) {
	t.Helper()
	for name, dial := range dialers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), wire.Patience)
			defer cancel()
			c, err := dial(ctx, fmt.Sprintf("ws://%s/websocket?room=i%d&%s", s.Addr, rooms.Add(1), query), subprotocol)
			if err != nil {
				t.Fatal(err)
			}
			f(t, c)
			c.close(1000)
		})
	}
}

// next waits for the next event that is none of those opcodes.
func next(t *testing.T, c client, without ...byte) event {
	t.Helper()
	for e := range c.events() {
		if !bytes.Contains(without, []byte{e.opcode}) || e.opcode == 0 {
			return e
		}
	}
	t.Fatalf("nothing came within %v", wire.Patience)
	return event{}
}

func wants(t *testing.T, c client, opcode byte, payload []byte) {
	t.Helper()
	e := next(t, c, wire.Ping)
	if e.opcode != opcode || !bytes.Equal(e.payload, payload) {
		t.Fatalf("opcode %d with %d bytes (code %d, %v), want opcode %d with %d", e.opcode, len(e.payload), e.code, e.err, opcode, len(payload))
	}
}

// payloads are a text and a binary message of n bytes.
func payloads(n int) map[byte][]byte {
	return map[byte][]byte{
		wire.Text:   []byte(strings.Repeat("どやさ!", n/10) + strings.Repeat("x", n%10)),
		wire.Binary: bytes.Repeat([]byte{0xFF, 0x00, 0xC0}, n/3+1)[:n],
	}
}

func start(t *testing.T, flags ...string) *doyasa.Server {
	return doyasa.Start(t, append([]string{"--limits-messages-per-second", "0", "--limits-message-bytes", "2MiB"}, flags...)...)
}

func TestMessages(t *testing.T) {
	each(t, start(t), "", "", func(t *testing.T, c client) {
		for _, n := range sizes {
			for opcode, p := range payloads(n) {
				if err := c.send(opcode, p); err != nil {
					t.Fatal(err)
				}
				wants(t, c, opcode, p)
			}
		}
	})
}

func TestFragments(t *testing.T) {
	each(t, start(t), "", "", func(t *testing.T, c client) {
		for _, n := range sizes {
			if n == 0 { // not every library makes frames of nothing
				continue
			}
			for opcode, p := range payloads(n) {
				if err := c.sendInFragments(opcode, p); err != nil {
					t.Fatal(err)
				}
				wants(t, c, opcode, p)
			}
		}
	})
}

// TestPings: ours are answered, theirs are answered, and the connection outlives the time in which an answer must come.
func TestPings(t *testing.T) {
	s := start(t, "--limits-ping-interval", "2s", "--limits-pong-timeout", "1900ms")
	each(t, s, "", "", func(t *testing.T, c client) {
		if err := c.ping([]byte("どやさ?")); err != nil {
			t.Fatal(err)
		}
		if e := next(t, c, wire.Ping); e.opcode != wire.Pong {
			t.Fatalf("%v, want a pong", e)
		}
		for range 3 {
			if e := next(t, c); e.opcode != wire.Ping {
				t.Fatalf("%v, want a ping of the server", e)
			}
		}
		c.send(wire.Text, []byte("still here"))
		wants(t, c, wire.Text, []byte("still here"))
	})
}

// TestPongMissing: who does not answer is closed.
func TestPongMissing(t *testing.T) {
	s := start(t, "--limits-ping-interval", "300ms", "--limits-pong-timeout", "200ms")
	conn, err := wire.Dial(s.Addr, "/websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if f, err := conn.ReadFrame(); err != nil || f.First != wire.Fin|wire.Ping {
		t.Fatalf("%v, %v; want a ping", f, err)
	}
	if f, err := conn.ReadFrame(); err != nil || f.Code() != 1001 {
		t.Fatalf("%v, %v; want Close 1001", f, err)
	}
}

// TestCloseByClient: the server answers with the same code.
func TestCloseByClient(t *testing.T) {
	s := start(t)
	for _, code := range []int{1000, 1001, 3000, 4999, 1005} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			each(t, s, "", "", func(t *testing.T, c client) {
				c.send(wire.Text, []byte("last words"))
				wants(t, c, wire.Text, []byte("last words"))
				if err := c.close(code); err != nil {
					t.Fatal(err)
				}
				if e := next(t, c); e.opcode != wire.Close || e.code != code {
					t.Errorf("the answer to Close %d is %+v", code, e)
				}
			})
		})
	}
}

// TestCloseByServer: the client hears why.
func TestCloseByServer(t *testing.T) {
	s := start(t)
	closes := func(name, subprotocol, query string, code int, provoke func(client)) {
		t.Run(name, func(t *testing.T) {
			each(t, s, subprotocol, query, func(t *testing.T, c client) {
				provoke(c)
				if e := next(t, c, wire.Text); e.opcode != wire.Close || e.code != code {
					t.Errorf("%+v, want Close %d", e, code)
				}
			})
		})
	}
	closes("too large", "", "", 1009, func(c client) { c.send(wire.Binary, make([]byte, 2<<20+1)) })
	closes("bad name", "", "name=%1b", 1008, func(client) {})
	closes("bad position", "doyasa.v1", "after=x", 1008, func(client) {})
	closes("binary for doyasa.v1", "doyasa.v1", "", 1003, func(c client) { c.send(wire.Binary, []byte{1}) })

	for name, dial := range dialers {
		t.Run("restart/"+name, func(t *testing.T) {
			s := start(t)
			c, err := dial(t.Context(), "ws://"+s.Addr+"/websocket", "")
			if err != nil {
				t.Fatal(err)
			}
			c.send(wire.Text, []byte("here"))
			wants(t, c, wire.Text, []byte("here"))
			s.Terminate()
			if e := next(t, c); e.opcode != wire.Close || e.code != 1012 {
				t.Errorf("%+v, want Close 1012", e)
			}
			if status := s.Wait(wire.Patience); status != 0 {
				t.Errorf("status %d, want 0", status)
			}
		})
	}
}

// answer is any frame of doyasa.v1.
type answer struct {
	Type string `json:"type"`
	Seq  uint64 `json:"seq"`
	Prev uint64 `json:"prev"`
	ID   string `json:"id"`
	Text string `json:"text"`
	Code string `json:"code"`
	Room string `json:"room"`
	From struct{ ID, Name string }
	You  struct{ ID, Name, Session string }
}

// TestV1: hello, live, say and its message, a retry with its answer, an error.
func TestV1(t *testing.T) {
	each(t, start(t), "doyasa.v1", "name=%E3%81%82", func(t *testing.T, c client) {
		v1 := func(typ string) (a answer) {
			t.Helper()
			for a.Type = "people"; a.Type == "people"; {
				e := next(t, c, wire.Ping)
				a = answer{}
				if err := json.Unmarshal(e.payload, &a); err != nil || e.opcode != wire.Text {
					t.Fatalf("%+v is not JSON: %v", e, err)
				}
			}
			if a.Type != typ {
				t.Fatalf("%+v, want %s", a, typ)
			}
			return a
		}
		hello := v1("hello")
		if hello.Seq != 0 || hello.You.Name != "あ" || hello.You.ID == "" || hello.You.Session == "" || !strings.HasPrefix(hello.Room, "i") {
			t.Errorf("hello is %+v", hello)
		}
		v1("live")
		id := fmt.Sprintf("0199a8e2-0000-7000-8000-%012x", time.Now().UnixNano()&0xFFFFFFFFFFFF)
		say, _ := json.Marshal(map[string]string{"type": "say", "id": id, "text": "どやさ"})
		c.send(wire.Text, say)
		first := v1("message")
		if first.Seq != 1 || first.Prev != 0 || first.ID != id || first.Text != "どやさ" || first.From.ID != hello.You.ID || first.From.Name != "あ" {
			t.Errorf("the message is %+v", first)
		}
		c.send(wire.Text, []byte(`{"type":"say","text":"もう一度"}`))
		if second := v1("message"); second.Seq != 2 || second.Prev != 1 || second.Text != "もう一度" {
			t.Errorf("the second message is %+v", second)
		}
		c.send(wire.Text, say)
		if again := v1("message"); again != first {
			t.Errorf("the retry is answered with %+v, want %+v", again, first)
		}
		c.send(wire.Text, []byte(`{"type":"dance"}`))
		if e := v1("error"); e.Code != "unknown_type" {
			t.Errorf("%+v, want unknown_type", e)
		}
	})
}
