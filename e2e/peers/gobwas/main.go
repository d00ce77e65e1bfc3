// Command gobwas is a broadcast room on github.com/gobwas/ws: the upgrade on the bare connection, frames compiled once. It runs a reader and
// a writer goroutine for each client, or with -epoll one loop that reads whoever has something and writes to all in turn.
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

// room is the set of members with a goroutine that writes for each.
type room struct {
	mu      sync.Mutex
	members map[*member]struct{} // guarded by mu
}

type member struct {
	conn net.Conn
	send chan []byte // compiled frames, from whoever says something; the reader closes it
}

func (r *room) say(frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		select {
		case m.send <- frame:
		default:
			m.conn.Close() // too slow
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
	in := struct { // control frames are answered on conn, data is read with a buffer
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
