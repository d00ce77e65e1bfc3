package vectors

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Stream is a case of stream.txt or hostile.txt.
type Stream struct {
	Name      string
	Client    bool    // a client receives the stream; otherwise a server does
	Bytes     int64   // limit of a message, 0 for none
	Fragments int     // limit of a message, 0 for none
	Defaults  bool    // the case does not set limits
	Writes    []Write // the stream, in pieces
	Events    []Event // what the receiver must find in the stream
	Error     int     // the close code with which the receiver must fail the connection after the events, 0 for none
	Early     int     // after how many bytes the receiver must have found the error; the length of the stream unless the case sets it
	End       string  // how the peer ends the connection without a Close frame: "fin", "reset", or "" if it does not end it
}

// A Write is a piece of a stream that arrives at once.
type Write struct {
	Bytes []byte
	Pause time.Duration // before the piece
}

// An Event is a message or a control frame.
type Event struct {
	Name    string // text, binary, ping, pong or close
	Payload []byte // of a close event: the reason
	Code    int    // of a close event: the close code, 1005 for none
}

func (e Event) String() string {
	if e.Name == "close" {
		return fmt.Sprintf("close %d %x", e.Code, e.Payload)
	}
	return fmt.Sprintf("%s %x", e.Name, e.Payload)
}

// Wire returns the bytes of the whole stream.
func (s Stream) Wire() (all []byte) {
	for _, w := range s.Writes {
		all = append(all, w.Bytes...)
	}
	return all
}

// ReadStreams reads files of streams.
func ReadStreams(t testing.TB, files ...string) (all []Stream) {
	t.Helper()
	for _, file := range files {
		for _, v := range Read(t, file) {
			all = append(all, v.stream(t))
		}
	}
	return all
}

func (v Vector) stream(t testing.TB) Stream {
	t.Helper()
	s := Stream{Name: v.Name, Bytes: 65536, Fragments: 1024, Defaults: true, Error: v.Number(t, "error", 0), End: v.Get("end")}
	switch role := v.Get("role"); role {
	case "server", "client":
		s.Client = role == "client"
	default:
		t.Fatalf("%s: role %q", v.Name, role)
	}
	var pause time.Duration
	for _, f := range v.Fields {
		var err error
		switch f[0] {
		case "name", "section", "role", "error", "early", "end":
		case "limits":
			s.Defaults = false
			_, err = fmt.Sscan(f[1], &s.Bytes, &s.Fragments)
		case "pause":
			pause, err = time.ParseDuration(f[1])
		case "wire":
			s.Writes = append(s.Writes, Write{v.Parse(t, f[1]), pause})
			pause = 0
		case "event":
			s.Events = append(s.Events, v.event(t, f[1]))
		case "events":
			count, event, _ := strings.Cut(f[1], " ")
			var n int
			n, err = strconv.Atoi(count)
			for range n {
				s.Events = append(s.Events, v.event(t, event))
			}
		default:
			err = fmt.Errorf("unknown key")
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", v.Name, f[0], err)
		}
	}
	s.Early = v.Number(t, "early", len(s.Wire()))
	return s
}

func (v Vector) event(t testing.TB, s string) Event {
	t.Helper()
	name, rest, _ := strings.Cut(s, " ")
	e := Event{Name: name}
	switch name {
	case "close":
		code, reason, _ := strings.Cut(rest, " ")
		var err error
		if e.Code, err = strconv.Atoi(code); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		rest = reason
	case "text", "binary", "ping", "pong":
	default:
		t.Fatalf("%s: event %q", v.Name, name)
	}
	e.Payload = v.Parse(t, rest)
	return e
}
