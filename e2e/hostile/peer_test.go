package hostile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// A peer is a stranger's connection. It does not see what the crowd says.
type peer struct {
	*wire.Conn
	t     testing.TB
	stand *stand
	v1    bool
}

// dial connects a stranger; closed with its test. target is what stands behind /websocket.
func (s *stand) dial(t testing.TB, target string, header ...string) *peer {
	t.Helper()
	conn, err := wire.Dial(s.server.Addr, "/websocket"+target, header...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.dialled.Add(1)
	return &peer{Conn: conn, t: t, stand: s, v1: slices.Contains(header, v1)}
}

const v1 = "Sec-WebSocket-Protocol: doyasa.v1"

// dialV1 connects a stranger in doyasa.v1 and reads up to `live`.
func (s *stand) dialV1(t testing.TB, target string) (p *peer, hello map[string]any) {
	t.Helper()
	p = s.dial(t, target, v1)
	hello, _ = p.greeted()
	return p, hello
}

// greeted reads hello, what is owed, and live.
func (p *peer) greeted() (hello map[string]any, owed []map[string]any) {
	p.t.Helper()
	hello = p.json("hello")
	for {
		var fields map[string]any
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("%v, want live", err)
		}
		json.Unmarshal(f.Payload, &fields)
		switch fields["type"] {
		case "message":
			owed = append(owed, fields)
		case "live":
			return hello, owed
		default:
			p.t.Fatalf("%v, want messages and live", f)
		}
	}
}

// next returns the next frame that is not the crowd's, nor one that comes by itself: pings, people, beats.
func (p *peer) next() (wire.Frame, error) {
	for {
		f, err := p.ReadFrame()
		text := string(f.Payload)
		switch {
		case err != nil:
			return f, err
		case f.Code() != 0:
			p.stand.codes[min(f.Code(), len(p.stand.codes)-1)].Add(1)
			return f, nil
		case f.First == wire.Fin|wire.Ping:
			continue
		case strings.HasPrefix(text, mark):
			continue
		case p.v1 && f.First == wire.Fin|wire.Text:
			var m struct{ Type, Text string }
			json.Unmarshal(f.Payload, &m)
			if m.Type == "people" || m.Type == "beat" || strings.HasPrefix(m.Text, mark) {
				continue
			}
		}
		return f, nil
	}
}

// expect reads exactly some frames.
func (p *peer) expect(want ...wire.Frame) {
	p.t.Helper()
	for i, w := range want {
		f, err := p.next()
		if err != nil || f.First != w.First || string(f.Payload) != string(w.Payload) {
			p.t.Fatalf("frame %d of %d: %v, %v; want %v", i+1, len(want), f, err, w)
		}
	}
}

// json reads a frame of doyasa.v1 of a type.
func (p *peer) json(typ string) (fields map[string]any) {
	p.t.Helper()
	f, err := p.next()
	if err != nil {
		p.t.Fatalf("%v, want %s", err, typ)
	}
	if json.Unmarshal(f.Payload, &fields); fields["type"] != typ {
		p.t.Fatalf("%v, want %s", f, typ)
	}
	return fields
}

// closed reads a Close frame of one of some codes, and the end of the connection.
func (p *peer) closed(codes ...int) (reason string) {
	p.t.Helper()
	f, err := p.next()
	if err != nil || !slices.Contains(codes, f.Code()) {
		p.t.Fatalf("%v (code %d), %v; want Close %d", f, f.Code(), err, codes)
	}
	if f, err := p.ReadFrame(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatalf("after the Close frame: %v, %v; want the end", f, err)
	}
	return string(f.Payload[min(2, len(f.Payload)):])
}

// open checks that the connection still works.
func (p *peer) open() {
	p.t.Helper()
	p.Send(wire.Ping, []byte("open?"))
	p.expect(wire.Frame{First: wire.Fin | wire.Pong, Payload: []byte("open?")})
}

// gone waits until the server has ended the connection, without a Close frame or after one with one of some codes. It sends nothing
// itself, so that only the server can have ended the connection.
func (p *peer) gone(codes ...int) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(wire.Patience))
	for {
		f, err := p.next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.t.Fatalf("still connected after %v", wire.Patience)
		case err != nil:
			return
		case f.Code() != 0 && !slices.Contains(codes, f.Code()):
			p.t.Fatalf("%v (code %d), want Close %d or none", f, f.Code(), codes)
		}
	}
}

// released waits until the server holds nothing of the connection any more: only then is what is written answered with a reset.
func (p *peer) released() {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		if _, err := p.Write([]byte{0}); err != nil {
			return
		}
		if time.Since(since) > wire.Patience {
			p.t.Fatalf("the server still takes bytes after %v", wire.Patience)
		}
	}
}

func text(s string) wire.Frame { return wire.Frame{First: wire.Fin | wire.Text, Payload: []byte(s)} }

// say is a `say` of doyasa.v1.
func say(s string) []byte {
	quoted, _ := json.Marshal(s)
	return fmt.Appendf(nil, `{"type":"say","text":%s}`, quoted)
}

// failed reads an `error` of a code.
func (p *peer) failed(code string) (fields map[string]any) {
	p.t.Helper()
	if fields = p.json("error"); fields["code"] != code {
		p.t.Fatalf("%v, want the code %s", fields, code)
	}
	return fields
}
