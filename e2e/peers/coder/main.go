// Command coder is a broadcast room on github.com/coder/websocket with the architecture of its chat example. A lock guards a set
// of subscribers. Each subscriber has a buffered channel, and each write has a timeout. A subscriber that cannot keep up is
// closed.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

type subscriber struct {
	messages chan []byte // any handler that publishes sends; never closed
	slow     func()
}

type room struct {
	mu          sync.Mutex
	subscribers map[*subscriber]struct{} // guarded by mu
}

func (r *room) publish(m []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.subscribers {
		select {
		case s.messages <- m:
		default:
			go s.slow()
		}
	}
}

func (r *room) serve(w http.ResponseWriter, req *http.Request) {
	c, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(64 << 10)
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	s := &subscriber{messages: make(chan []byte, 256), slow: func() {
		c.Close(websocket.StatusPolicyViolation, "too slow")
	}}
	r.mu.Lock()
	r.subscribers[s] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.subscribers, s)
		r.mu.Unlock()
	}()
	go func() {
		defer cancel()
		for {
			_, m, err := c.Read(ctx)
			if err != nil {
				return
			}
			r.publish(m)
		}
	}()
	for {
		select {
		case m := <-s.messages:
			if write(ctx, c, m) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func write(ctx context.Context, c *websocket.Conn, m []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, m)
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3100", "`address` to listen on")
	flag.Parse()
	r := &room{subscribers: make(map[*subscriber]struct{})}
	http.HandleFunc("/websocket", r.serve)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
