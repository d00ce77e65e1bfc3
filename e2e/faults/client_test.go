package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// A client says something every so often, keeps what is not acknowledged and says it again after each cut, and notes all it sees.
type client struct {
	number int
	addr   string
	ledger *ledger
	every  time.Duration

	mu      sync.Mutex
	conn    *wire.Conn
	said    int
	waiting []string // ids without an outcome, oldest first
	quiet   bool     // nothing new is said

	epoch, session string // of the reading goroutine
	last           uint64
}

// run is there until ctx ends.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.visit(ctx); err != nil && ctx.Err() == nil {
			select {
			case <-time.After(20 * time.Millisecond): // the server may be gone just now
			case <-ctx.Done():
			}
		}
	}
}

// visit is one connection, to its end.
func (c *client) visit(ctx context.Context) error {
	target := "/websocket?room=r&history=0&name=c" + strconv.Itoa(c.number)
	if c.epoch != "" {
		target += fmt.Sprintf("&after=%d&epoch=%s&session=%s", c.last, c.epoch, c.session)
	}
	conn, err := wire.Dial(c.addr, target, "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer func() {
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	}()
	for {
		conn.SetDeadline(time.Now().Add(wire.Patience))
		f, err := conn.ReadFrame()
		if err != nil {
			return err
		}
		switch {
		case f.First == wire.Fin|wire.Ping:
			if err := conn.Send(wire.Pong, f.Payload); err != nil {
				return err
			}
		case f.Code() != 0:
			return fmt.Errorf("closed with %d", f.Code())
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)):
			c.message(f.Payload)
		default:
			c.other(conn, f.Payload)
		}
	}
}

// message is read by hand: there are very many.
func (c *client) message(b []byte) {
	seq, prev := field(b, `"seq":`), field(b, `"prev":`)
	at := bytes.Index(b, []byte(`"id":"`)) + 6
	id := string(b[at : at+36])
	if seq > c.last { // else it only answers a retry
		c.last = seq
		c.ledger.received(c.number, receipt{kind: "message", id: id, seq: seq, prev: prev})
	}
	c.settled(id, acknowledged)
}

// field is the number behind a key.
func field(b []byte, key string) (n uint64) {
	for at := bytes.Index(b, []byte(key)) + len(key); b[at] >= '0' && b[at] <= '9'; at++ {
		n = n*10 + uint64(b[at]-'0')
	}
	return n
}

func (c *client) settled(id string, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, w := range c.waiting {
		if w == id {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			c.ledger.settle(id, o)
			return
		}
	}
}

func (c *client) other(conn *wire.Conn, b []byte) {
	var n struct {
		Type, Epoch, Code, ID string
		Resumed               bool
		Seq, To               uint64
		You                   struct{ Session string }
	}
	json.Unmarshal(b, &n)
	switch n.Type {
	case "hello":
		c.epoch, c.session = n.Epoch, n.You.Session
		kind := "hello"
		if n.Resumed {
			kind = "resumed"
		} else {
			c.last = n.Seq
		}
		c.ledger.received(c.number, receipt{kind: kind, epoch: n.Epoch})
	case "live":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.conn = conn
		for _, id := range c.waiting {
			c.send(id)
		}
	case "gap":
		c.last = n.To
		c.ledger.received(c.number, receipt{kind: "gap", seq: n.To})
	case "error":
		if n.Code != "internal" && n.Code != "not_stored" { // those two are no answer
			c.settled(n.ID, failed)
		}
	}
}

// talk says something new every so often, until ctx ends.
func (c *client) talk(ctx context.Context) {
	time.Sleep(rand.N(c.every)) // not all at once
	ticker := time.NewTicker(c.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		if !c.quiet && len(c.waiting) < 100 {
			c.said++
			id := fmt.Sprintf("%08x-0000-7000-8000-%012x", c.number+1, c.said)
			c.ledger.sent(id)
			c.waiting = append(c.waiting, id)
			c.send(id)
		}
		c.mu.Unlock()
	}
}

// send says a waiting message, if there is a line. Called with mu held.
func (c *client) send(id string) {
	if c.conn != nil {
		c.conn.Send(wire.Text, fmt.Appendf(nil, `{"type":"say","id":"%s","text":"どやさ %s"}`, id, id))
	}
}

// there tells whether the client is connected and has caught up.
func (c *client) there() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// settledAll tells whether nothing waits for an outcome.
func (c *client) settledAll() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting) == 0
}
