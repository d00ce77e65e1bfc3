// Command gws is a broadcast room on github.com/lxzan/gws. It uses the event handler of the library, and its Broadcaster, which
// makes each frame once and queues it on each connection. A lock makes sure that all members see one order.
package main

import (
	"flag"
	"log"
	"sync"
	"time"

	"github.com/lxzan/gws"
)

const wait = 60 * time.Second

type room struct {
	gws.BuiltinEventHandler
	mu      sync.Mutex
	members map[*gws.Conn]struct{} // guarded by mu
}

func (r *room) OnOpen(c *gws.Conn) {
	c.SetReadDeadline(time.Now().Add(wait))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[c] = struct{}{}
}

func (r *room) OnClose(c *gws.Conn, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
}

func (r *room) OnPing(c *gws.Conn, payload []byte) {
	c.SetReadDeadline(time.Now().Add(wait))
	c.WritePong(payload)
}

func (r *room) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		b.Broadcast(c)
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3100", "`address` to listen on")
	flag.Parse()
	r := &room{members: make(map[*gws.Conn]struct{})}
	log.Fatal(gws.NewServer(r, &gws.ServerOption{ReadMaxPayloadSize: 64 << 10}).Run(*listen))
}
