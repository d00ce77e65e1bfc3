// Package room_test fills rooms of the running server with people: many, coming and going, slow, greedy, cut off. Whatever happens,
// everybody has every message once and in one order, or has been told.
package room_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

const subprotocol = "Sec-WebSocket-Protocol: doyasa.v1"

// A notice is any frame of doyasa.v1 from the server.
type notice struct {
	Type    string `json:"type"`
	Seq     uint64 `json:"seq"`
	Prev    uint64 `json:"prev"`
	ID      string `json:"id"`
	Text    string `json:"text"`
	From    any    `json:"from"` // who said it, or where a gap begins
	To      uint64 `json:"to"`
	Epoch   string `json:"epoch"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason"`
	Return  *int64 `json:"return_in_ms"`
	You     struct{ Session string }
}

// A member is one client in a room, read by one goroutine. What it was sent is checked while it is read: a raw member gets messages
// and pings only; of doyasa.v1 each message follows on the one before it.
type member struct {
	conn *wire.Conn
	v1   bool

	hello  notice   // doyasa.v1
	seq    uint64   // doyasa.v1: of the last message
	texts  []string // of all messages, in the order they came
	closed int      // the code of the server's Close frame
	bye    *notice  // doyasa.v1
	gaps   []notice // doyasa.v1
}

// join enters a room, and returns when what others say from now on will come. query begins with "&" if it is not empty.
func join(addr, room string, v1 bool, query string) (*member, error) {
	target := "/websocket?room=" + url.QueryEscape(room) + query
	m := &member{v1: v1}
	var err error
	if !v1 {
		if m.conn, err = wire.Dial(addr, target); err != nil {
			return nil, err
		}
		// A raw member is greeted by nobody; the pong tells that the session has begun, and with it the membership.
		m.conn.Send(wire.Ping, []byte("in?"))
		for {
			f, err := m.conn.ReadFrame()
			if err != nil {
				return nil, err
			}
			if f.First == wire.Fin|wire.Pong {
				return m, nil
			}
			m.take(f)
		}
	}
	if m.conn, err = wire.Dial(addr, target, subprotocol); err != nil {
		return nil, err
	}
	for {
		n, err := m.next()
		if err != nil {
			return nil, err
		}
		if n.Type == "live" {
			return m, nil
		}
	}
}

// say sends a text; id may be empty.
func (m *member) say(text, id string) error { return m.conn.Send(wire.Text, m.saying(text, id)) }

func (m *member) saying(text, id string) []byte {
	if !m.v1 {
		return []byte(text)
	}
	fields := map[string]string{"type": "say", "text": text}
	if id != "" {
		fields["id"] = id
	}
	b, _ := json.Marshal(fields)
	return b
}

// next reads one frame. Pings are answered.
func (m *member) next() (notice, error) {
	f, err := m.conn.ReadFrame()
	if err != nil {
		return notice{}, err
	}
	return m.take(f)
}

// errClosed: the server has sent its Close frame.
var errClosed = errors.New("closed by the server")

func (m *member) take(f wire.Frame) (n notice, err error) {
	switch {
	case f.First == wire.Fin|wire.Ping:
		return n, m.conn.Send(wire.Pong, f.Payload)
	case f.Code() != 0:
		m.closed = f.Code()
		return n, errClosed
	case f.First != wire.Fin|wire.Text:
		return n, fmt.Errorf("%v is no message", f)
	case !m.v1:
		m.texts = append(m.texts, string(f.Payload))
		return n, nil
	}
	if err := json.Unmarshal(f.Payload, &n); err != nil {
		return n, fmt.Errorf("%v: %w", f, err)
	}
	switch n.Type {
	case "hello":
		m.hello = n
	case "message":
		return n, m.message(n)
	case "gap":
		if from, _ := n.From.(float64); m.seq != 0 && uint64(from) != m.seq+1 || n.To < uint64(from) {
			return n, fmt.Errorf("behind message %d: %s", m.seq, f.Payload)
		}
		m.gaps = append(m.gaps, n)
		m.seq = n.To
	case "bye":
		m.bye = &n
	case "live", "people", "beat":
	default:
		return n, fmt.Errorf("%s", f.Payload)
	}
	return n, nil
}

// message adds a message, which must follow on the one before it; the first may follow on anything.
func (m *member) message(n notice) error {
	if m.seq != 0 && n.Seq <= m.seq {
		return nil // the answer to a retry
	}
	if m.seq != 0 && n.Prev != m.seq || n.Seq <= n.Prev {
		return fmt.Errorf("message %d says it follows %d, and the last was %d", n.Seq, n.Prev, m.seq)
	}
	m.seq = n.Seq
	m.texts = append(m.texts, n.Text)
	return nil
}

// readUntil reads until there are that many messages.
func (m *member) readUntil(messages int) error {
	for len(m.texts) < messages {
		if _, err := m.next(); err != nil {
			return fmt.Errorf("after %d of %d messages (Close %d): %w", len(m.texts), messages, m.closed, err)
		}
	}
	return nil
}

// readToEnd reads until the Close frame and the end of the stream behind it.
func (m *member) readToEnd() error {
	for {
		if _, err := m.next(); errors.Is(err, errClosed) {
			break
		} else if err != nil {
			return fmt.Errorf("after %d messages: %w", len(m.texts), err)
		}
	}
	return m.ended()
}

// ended checks that nothing follows the Close frame but the end of the stream.
func (m *member) ended() error {
	if f, err := m.conn.ReadFrame(); err != io.EOF {
		return fmt.Errorf("after the Close frame: %v, %v; want the end of the stream", f, err)
	}
	return nil
}

// leave closes as a browser does, and waits for the answer.
func (m *member) leave() error {
	m.conn.Send(wire.Close, wire.ClosePayload(1000, ""))
	err := m.readToEnd()
	m.conn.Close()
	return err
}

// words is what sender number i says the jth time.
func words(i, j int) string {
	return "sender " + strconv.Itoa(i) + " says " + strconv.Itoa(j) + " どやさ"
}

// hash runs over texts in their order (FNV-1a, with the length of each).
func hash(texts []string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range texts {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ uint64(len(s))) * 1099511628211
	}
	return h
}

// complete checks that texts are what all senders said, each once and each sender's in the order in which it said them.
func complete(t testing.TB, texts []string, senders, each int) {
	t.Helper()
	said := make([]int, senders)
	for at, text := range texts {
		var i, j int
		if n, _ := fmt.Sscanf(text, "sender %d says %d", &i, &j); n != 2 || i >= senders || j != said[i] {
			t.Fatalf("message %d is %q, want number %d of its sender", at, text, said[min(i, senders-1)])
		}
		said[i]++
	}
	for i, n := range said {
		if n != each {
			t.Errorf("%d messages of sender %d, want %d", n, i, each)
		}
	}
}

// sameOrder checks that everybody has the same texts in the same order, by running hash.
func sameOrder(t testing.TB, members []*member) {
	t.Helper()
	want := hash(members[0].texts)
	for i, m := range members {
		if got := hash(m.texts); got != want || len(m.texts) != len(members[0].texts) {
			t.Errorf("member %d (doyasa.v1: %t) has %d messages with hash %x, want %d with %x", i, m.v1, len(m.texts), got, len(members[0].texts), want)
		}
	}
}

// partOf checks that texts stand in order without a hole in whole.
func partOf(texts, whole []string) error {
	if len(texts) == 0 {
		return nil
	}
	for at := range whole {
		if whole[at] != texts[0] {
			continue
		}
		for i, text := range texts {
			if at+i >= len(whole) || whole[at+i] != text {
				return fmt.Errorf("message %d is %q, which does not follow in the room's order", i, text)
			}
		}
		return nil
	}
	return fmt.Errorf("%q is not in the room's order", texts[0])
}
