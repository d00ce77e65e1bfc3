package hub_test

import (
	"fmt"

	"github.com/doyasa/doyasa/hub"
	"pgregory.net/rapid"
)

// A wire is a form of the model: a line of text for each message it shows.
type wire struct {
	form hub.Form
	chat bool // shows Seq, resumes, and is told of gaps; else it is closed when overtaken
}

var chat, raw = newWire(true), newWire(false)

func newWire(isChat bool) *wire {
	w := &wire{chat: isChat}
	w.form.Message = func(dst []byte, m *hub.Message) []byte {
		switch {
		case !w.shows(m):
			return dst
		case isChat:
			return fmt.Appendf(dst, "%d behind %d: %x %s\n", m.Seq, m.Prev, m.ID[:2], m.Payload)
		}
		return fmt.Appendf(dst, "%x %s\n", m.ID[:2], m.Payload)
	}
	w.form.People = func(dst []byte, p hub.People) []byte { return fmt.Append(dst, p.Count) }
	return w
}

func (w *wire) shows(m *hub.Message) bool { return !w.chat || !m.Binary }

// client is somebody over any number of connections.
type client struct {
	*world
	*wire
	who  hub.Author
	conn *conn  // nil while there is none
	came bool   // was in the room before
	last uint64 // chat: the newest Seq it has been sent or told to be missing
}

func (c *client) join() {
	if c.conn != nil {
		return
	}
	k := &conn{client: c}
	var err error
	if k.member, err = c.hub.Join(room, &c.form, c.who, k); err != nil {
		c.Fatal(err)
	}
	c.conn = k
	c.conns = append(c.conns, k)
}

func (c *client) ready() bool { return c.conn != nil && c.conn.joined != nil && !c.conn.leaving }

func (c *client) say() {
	if c.ready() && !c.sayAgain() {
		c.conn.offer(c.compose(c.who))
	}
}

// sayAgain offers what was refused before.
func (c *client) sayAgain() bool {
	if !c.ready() || c.conn.unsent == nil {
		return false
	}
	if c.release == nil && c.hub.InboxBytes(room) == 0 && c.conn.wakes == c.conn.refused {
		c.Fatalf("client %s: not woken, and the inbox is empty", c.who.ID)
	}
	m := c.conn.unsent
	c.conn.unsent = nil
	c.conn.offer(m)
	return true
}

func (k *conn) offer(m *hub.Message) {
	k.mu.Lock()
	k.refused = k.wakes
	k.said[m] = k
	k.open = append(k.open, m)
	k.mu.Unlock()
	if k.member.Say(m) {
		return
	}
	k.mu.Lock()
	k.outcome(m, "refused by the inbox")
	k.mu.Unlock()
	k.unsent = m
}

func (c *client) rename() {
	if c.ready() {
		c.who.Name = rapid.SampledFrom([]string{"n", "o", "p"}).Draw(c.T, "name")
		c.conn.member.Rename(c.who.Name)
	}
}

// cut is a connection lost, in the middle of a record maybe.
func (c *client) cut() {
	if c.conn != nil && !c.conn.leaving {
		c.conn.member.Leave()
	}
	c.conn = nil
}

// leave is an orderly end: everything up to Left.End is written first.
func (c *client) leave() {
	if c.ready() {
		c.conn.leaving = true
		c.conn.member.Leave()
	}
}

// finish comes to the end after leave.
func (c *client) finish() {
	for range 10 {
		c.pump(everything)
		c.settle()
	}
	if c.conn != nil {
		c.Fatalf("client %s: leaving has no end", c.who.ID)
	}
}
