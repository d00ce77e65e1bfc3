package chat

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// A frameType is one frame of doyasa.v1: a text message with a JSON object. docs/protocol.md specifies them.
type frameType struct {
	name   string
	sent   any               // the struct that the server sends; nil if the server sends no such frame
	handle func(*v1, fields) // handles a frame that a client sends; nil if clients send no such frame
}

// frameTypes is the table of all frames, in both directions. To add a frame, add its row here, its struct
// below if the server sends it, its handler in v1.go if clients send it, and its example in docs/protocol.md.
var frameTypes = []frameType{
	{"hello", helloFrame{}, nil},
	{"message", MessageFrame{}, nil},
	{"live", liveFrame{}, nil},
	{"gap", gapFrame{}, nil},
	{"people", peopleFrame{}, nil},
	{"beat", beatFrame{}, (*v1).askBeat},
	{"error", errorFrame{}, nil},
	{"bye", byeFrame{}, nil},
	{"say", nil, (*v1).say},
	{"name", nil, (*v1).rename},
}

// handlers has the handlers of frameTypes by the type of the frame.
var handlers = func() map[string]func(*v1, fields) {
	by := make(map[string]func(*v1, fields))
	for _, t := range frameTypes {
		if t.handle != nil {
			by[t.name] = t.handle
		}
	}
	return by
}()

// The frames that the server sends.
type (
	helloFrame struct {
		Type    string      `json:"type"`
		Room    string      `json:"room"`
		Epoch   string      `json:"epoch"`
		Seq     uint64      `json:"seq"`
		You     youField    `json:"you"`
		Resumed bool        `json:"resumed"`
		Reason  string      `json:"reason,omitempty"`
		People  peopleField `json:"people"`
		Limits  limitsField `json:"limits"`
		At      int64       `json:"at"`
	}
	youField struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Session string `json:"session"`
	}
	peopleField struct {
		Count int      `json:"count"`
		Names []string `json:"names"`
	}
	limitsField struct {
		TextBytes         int `json:"text_bytes"`
		MessagesPerSecond int `json:"messages_per_second"`
		Burst             int `json:"burst"`
	}
	// A MessageFrame is one message. The HTTP API shows messages in the same form.
	MessageFrame struct {
		Type string    `json:"type"`
		Seq  uint64    `json:"seq"`
		Prev uint64    `json:"prev"`
		ID   string    `json:"id"`
		From FromField `json:"from"`
		Text string    `json:"text"`
		At   int64     `json:"at"`
	}
	// A FromField tells which person said a message.
	FromField struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	liveFrame struct {
		Type string `json:"type"`
		Seq  uint64 `json:"seq"`
	}
	gapFrame struct {
		Type string `json:"type"`
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	peopleFrame struct {
		Type   string   `json:"type"`
		Count  int      `json:"count"`
		Joined []string `json:"joined"`
		Left   []string `json:"left"`
	}
	beatFrame struct {
		Type string `json:"type"`
		Seq  uint64 `json:"seq"`
		At   int64  `json:"at"`
	}
	errorFrame struct {
		Type       string `json:"type"`
		Code       string `json:"code"`
		ID         string `json:"id,omitempty"`
		Text       string `json:"text"`
		RetryAfter int64  `json:"retry_after_ms,omitempty"`
	}
	byeFrame struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
		Return int64  `json:"return_in_ms"`
	}
)

// v1Form returns text as a message frame. Binary and empty messages, which only raw members can send, are not
// shown.
var v1Form = &hub.Form{
	Message: func(dst []byte, m *hub.Message) []byte {
		if m.Transient {
			return dst
		}
		return appendJSON(dst, NewMessageFrame(m))
	},
	People: func(dst []byte, p hub.People) []byte {
		return appendJSON(dst, peopleFrame{"people", p.Count, listed(p.Joined), listed(p.Left)})
	},
}

// newHelloFrame greets a member. An empty reason means that the client continues from its position.
func newHelloFrame(s *session, a *arrival, reason string) helloFrame {
	limits := s.shared.Limits
	return helloFrame{
		Type:    "hello",
		Room:    a.request.Room,
		Epoch:   a.joined.Epoch,
		Seq:     a.joined.Head,
		You:     youField{s.author.ID, s.author.Name, s.who.secret},
		Resumed: reason == "",
		Reason:  reason,
		People:  peopleField{a.joined.People.Count, listed(a.joined.People.Names)},
		Limits:  limitsField{limits.TextBytes, limits.MessagesPerSecond, limits.Burst},
		At:      nowMillis(),
	}
}

// NewMessageFrame returns the frame of a stored message.
func NewMessageFrame(m *hub.Message) MessageFrame {
	return MessageFrame{
		Type: "message",
		Seq:  m.Seq,
		Prev: m.Prev,
		ID:   uuid.UUID(m.ID).String(),
		From: FromField{m.From.ID, m.From.Name},
		Text: string(m.Payload),
		At:   m.At,
	}
}

// newErrorFrame tells what is wrong with the `say` that has this id. An empty id means that the error is
// about something else.
func newErrorFrame(wrong *Code, id string, wait time.Duration) errorFrame {
	return errorFrame{"error", wrong.Name, id, wrong.Text, Millis(wait)}
}

// Millis is a wait in milliseconds, rounded up so that a client that waits this long does not come too early.
func Millis(wait time.Duration) int64 { return int64(math.Ceil(wait.Seconds() * 1000)) }

// A sharedBeat is a beat that all members whose last message is seq can share for a short time.
type sharedBeat struct {
	seq   uint64
	at    int64 // Unix milliseconds
	frame []byte
}

const (
	beatShared = 100 // milliseconds for which a beat may be shared: long enough for all members that are due at the same tick
	beatBytes  = 64  // bytes that a beat takes, about
)

// beat returns the beat for a member whose last message is seq. Members that need a beat at nearly the same
// time share one, as all members of a quiet room do.
func (ss *Sessions) beat(seq uint64) []byte {
	now, last := nowMillis(), ss.lastBeat.Load()
	if last == nil || last.seq != seq || now < last.at || now > last.at+beatShared {
		last = &sharedBeat{seq, now, appendJSON(nil, beatFrame{"beat", seq, now})}
		ss.lastBeat.Store(last)
	}
	return last.frame
}

// appendJSON appends v as the JSON of a text message to dst.
func appendJSON(dst []byte, v any) []byte {
	return appendFrame(dst, wsproto.OpText, EncodeJSON(v))
}

// EncodeJSON leaves < > & unescaped: a page shows text as text, and other clients would have to decode
// \u003c.
func EncodeJSON(v any) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // only types that have no JSON form make errors, and all frames have one
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// listed returns names, or an empty list instead of nil, which JSON would show as null.
func listed(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

func nowMillis() int64 { return time.Now().UnixMilli() }
