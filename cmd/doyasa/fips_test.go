package main

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// TestFIPS140Only chats where only cryptography of FIPS 140-3 is allowed: over a WebSocket and by HTTP, with each history that one
// machine keeps.
func TestFIPS140Only(t *testing.T) {
	for _, store := range []string{"memory", "embedded"} {
		t.Run(store, func(t *testing.T) {
			p := startWith(t, []string{"GODEBUG=fips140=only"}, "--listen", "127.0.0.1:0", "--history-store", store)
			address := p.ready()
			c := joinRaw(t, address)
			c.say("by WebSocket")
			c.hears("by WebSocket")
			response, err := http.Post("http://"+address+"/api/rooms/doyasa/messages", "text/plain", strings.NewReader("by HTTP"))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("POST answers %s, want 200", response.Status)
			}
			c.hears("by HTTP")
			p.signal(syscall.SIGTERM)
			if status, log := p.wait(); status != 0 || strings.Contains(log, `"error"`) {
				t.Errorf("status %d, log\n%s\nwant 0 and no error", status, log)
			}
		})
	}
}

// rawClient is a member of the default room.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	in   *wsproto.Assembler
	got  []byte // read and not yet taken
}

// joinRaw makes the opening handshake of the raw form.
func joinRaw(t *testing.T, address string) *rawClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	conn.Write(wsproto.AppendRequest(nil, wsproto.ClientRequest{Host: address, Target: "/websocket", Key: key}))
	c := &rawClient{t: t, conn: conn, in: wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})}
	for {
		_, n, err := wsproto.ParseResponse(c.got, key)
		if err == nil {
			c.got = c.got[n:]
			return c
		}
		if !errors.Is(err, wsproto.ErrNeedMore) {
			t.Fatal(err)
		}
		c.read()
	}
}

func (c *rawClient) read() {
	c.t.Helper()
	buf := make([]byte, 4096)
	n, err := c.conn.Read(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	c.got = append(c.got, buf[:n]...)
}

func (c *rawClient) say(text string) {
	c.conn.Write(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}, []byte(text)))
}

// hears waits for the next message, which must be text.
func (c *rawClient) hears(text string) {
	c.t.Helper()
	for {
		ev, rest, err := c.in.Next(c.got)
		if err != nil {
			c.t.Fatal(err)
		}
		c.got = rest
		if ev.Opcode == wsproto.OpText {
			if string(ev.Payload) != text {
				c.t.Errorf("heard %q, want %q", ev.Payload, text)
			}
			return
		}
		if len(rest) == 0 {
			c.read()
		}
	}
}
