package server

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// The frames of doyasa.v1 that the server sends, as JSON. docs/protocol.md specifies
// them.
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
	messageFrame struct {
		Type string    `json:"type"`
		Seq  uint64    `json:"seq"`
		Prev uint64    `json:"prev"`
		ID   string    `json:"id"`
		From fromField `json:"from"`
		Text string    `json:"text"`
		At   int64     `json:"at"`
	}
	fromField struct {
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

// v1Form shows text as a message frame; binary and empty messages of raw members are
// not shown.
var v1Form = &hub.Form{
	Message: func(dst []byte, m *hub.Message) []byte {
		if m.Transient {
			return dst
		}
		return appendJSON(dst, newMessageFrame(m))
	},
	People: func(dst []byte, p hub.People) []byte {
		return appendJSON(dst, peopleFrame{"people", p.Count, listed(p.Joined), listed(p.Left)})
	},
}

func newMessageFrame(m *hub.Message) messageFrame {
	return messageFrame{
		Type: "message",
		Seq:  m.Seq,
		Prev: m.Prev,
		ID:   uuid.UUID(m.ID).String(),
		From: fromField{m.From.ID, m.From.Name},
		Text: string(m.Payload),
		At:   m.At,
	}
}

// appendJSON appends v as the JSON of a text message to dst.
func appendJSON(dst []byte, v any) []byte {
	return appendFrame(dst, wsproto.OpText, encodeJSON(v))
}

// A beat is the frame of that type for who has come as far as seq, made at a moment.
type beat struct {
	seq   uint64
	at    int64 // Unix milliseconds
	frame []byte
}

// beatShared is for how long a beat is good for others, in milliseconds: for all who are due at
// the same tick.
const beatShared = 100

// beat returns the frame for who has come as far as seq. Who asks within a moment, as everybody
// in a quiet room does, gets the same.
func (s *Server) beat(seq uint64) []byte {
	now, last := nowMillis(), s.lastBeat.Load()
	if last == nil || last.seq != seq || now < last.at || now > last.at+beatShared {
		last = &beat{seq, now, appendJSON(nil, beatFrame{"beat", seq, now})}
		s.lastBeat.Store(last)
	}
	return last.frame
}

// encodeJSON leaves < > & as they are: a page shows text as text, and others would
// have to read \u003c.
func encodeJSON(v any) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // only for types that have no JSON; the frames above all have
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// listed makes an empty list of no list, for JSON.
func listed(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

func nowMillis() int64 { return time.Now().UnixMilli() }
