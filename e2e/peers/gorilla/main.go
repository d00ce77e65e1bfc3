// Command gorilla is a broadcast room on github.com/gorilla/websocket with the architecture of its chat example. A hub goroutine
// is reached through channels. Each client has a buffered channel and two goroutines. Queued messages are joined with newlines
// into one, and a ticker sends pings.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = pongWait * 9 / 10
	maxMessage = 64 << 10
)

type client struct {
	conn *websocket.Conn
	send chan []byte // the hub sends, and closes it
}

type hub struct {
	join, leave chan *client
	say         chan []byte
}

func (h *hub) run() {
	clients := make(map[*client]bool)
	for {
		select {
		case c := <-h.join:
			clients[c] = true
		case c := <-h.leave:
			if clients[c] {
				delete(clients, c)
				close(c.send)
			}
		case m := <-h.say:
			for c := range clients {
				select {
				case c.send <- m:
				default: // the client reads too slowly
					delete(clients, c)
					close(c.send)
				}
			}
		}
	}
}

func (c *client) read(h *hub) {
	defer func() {
		h.leave <- c
		c.conn.Close()
	}()
	c.conn.SetReadLimit(maxMessage)
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) })
	for {
		_, m, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		h.say <- m
	}
}

func (c *client) write() {
	ticker := time.NewTicker(pingPeriod)
	defer ticker.Stop()
	defer c.conn.Close()
	for {
		select {
		case m, ok := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				c.conn.WriteMessage(websocket.CloseMessage, nil)
				return
			}
			w, err := c.conn.NextWriter(websocket.TextMessage)
			if err != nil {
				return
			}
			w.Write(m)
			for range len(c.send) {
				w.Write([]byte{'\n'})
				w.Write(<-c.send)
			}
			if w.Close() != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if c.conn.WriteMessage(websocket.PingMessage, nil) != nil {
				return
			}
		}
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3100", "`address` to listen on")
	flag.Parse()
	h := &hub{join: make(chan *client), leave: make(chan *client), say: make(chan []byte)}
	go h.run()
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	http.HandleFunc("/websocket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{conn: conn, send: make(chan []byte, 256)}
		h.join <- c
		go c.write()
		go c.read(h)
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
