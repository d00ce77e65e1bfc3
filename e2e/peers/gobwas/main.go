// Command gobwas is a broadcast room on github.com/gobwas/ws. It upgrades the bare connection, and compiles each frame only once.
// Each client has a reader and a writer goroutine. With -epoll, one loop reads from all clients and writes to them in turn.
package main

import (
	"bufio"
	"flag"
	"io"
	"log"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// room is the set of members. Each member has a goroutine that writes to it.
type room struct {
	mu      sync.Mutex
	members map[*member]struct{} // guarded by mu
}

type member struct {
	conn net.Conn
	send chan []byte // compiled frames; the readers of all members send, and the member's own reader closes it
}

func (r *room) say(frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		select {
		case m.send <- frame:
		default:
			m.conn.Close() // the member reads too slowly
		}
	}
}

func (r *room) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := ws.Upgrade(conn); err != nil {
		return
	}
	m := &member{conn: conn, send: make(chan []byte, 256)}
	r.mu.Lock()
	r.members[m] = struct{}{}
	r.mu.Unlock()
	go m.write()
	defer func() {
		r.mu.Lock()
		delete(r.members, m)
		close(m.send)
		r.mu.Unlock()
	}()
	in := struct { // control frames are answered on conn, and data is read through a buffer
		io.Reader
		io.Writer
	}{bufio.NewReaderSize(conn, 1024), conn}
	for {
		payload, op, err := wsutil.ReadClientData(in)
		if err != nil {
			return
		}
		r.say(compile(op, payload))
	}
}

func (m *member) write() {
	for frame := range m.send {
		if _, err := m.conn.Write(frame); err != nil {
			m.conn.Close()
		}
	}
}

func compile(op ws.OpCode, payload []byte) []byte {
	return ws.MustCompileFrame(ws.NewFrame(op, true, payload))
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3100", "`address` to listen on")
	epoll := flag.Bool("epoll", false, "one loop instead of goroutines")
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	serve := (&room{members: make(map[*member]struct{})}).serve
	if *epoll {
		loop, err := newLoop()
		if err != nil {
			log.Fatal(err)
		}
		go loop.run()
		serve = loop.add
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(conn)
	}
}
