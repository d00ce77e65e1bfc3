package hostile_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
	"github.com/doyasa/doyasa/internal/vectors"
)

// A playable is a vector that a running server is held to.
type playable struct {
	name string
	play func(t *testing.T, s *stand)
}

const testdata = "../../wsproto/testdata/"

// base is the request that vectors change.
var base = []string{"GET /websocket HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}

// readVectors reads all that are for a running server, by the row that they belong to; those of no row are under the row of their kind.
func readVectors(t *testing.T) map[string][]playable {
	t.Helper()
	rows := map[string][]playable{}
	add := func(name, otherwise string, play func(*testing.T, *stand)) {
		id, _, _ := strings.Cut(name, " ")
		if _, err := strconv.Atoi(strings.TrimRight(id[1:], "b")); err != nil || !strings.Contains("DFH", id[:1]) {
			id = otherwise
		}
		if id == "D1" {
			id = "F2"
		}
		rows[id] = append(rows[id], playable{name, play})
	}
	for _, v := range streams(t) {
		add(v.Name, "F36", func(t *testing.T, s *stand) { playStream(t, s, v, v.Writes) })
	}
	for _, file := range []string{"request.txt", "http.txt"} {
		for _, v := range vectors.Read(t, testdata+file) {
			add(v.Name, "H4", func(t *testing.T, s *stand) { playRequest(t, s, v) })
		}
	}
	return rows
}

// streams are the vectors of what comes behind the handshake.
func streams(t *testing.T) []vectors.Stream {
	all := vectors.ReadStreams(t, testdata+"stream.txt", testdata+"hostile.txt")
	return slices.DeleteFunc(all, func(v vectors.Stream) bool { return v.Client || !v.Defaults })
}

// playStream plays a case of stream.txt or hostile.txt in the bystanders' room, where its messages are theirs as well.
func playStream(t *testing.T, s *stand, v vectors.Stream, writes []vectors.Write) {
	p := s.dial(t, "")
	defer p.Close()
	left := v.Early
	written := make(chan struct{}) // closed when there is nothing more to write
	go func() {
		defer close(written)
		for _, w := range writes {
			time.Sleep(w.Pause)
			b := w.Bytes[:min(len(w.Bytes), left)]
			left -= len(b)
			if _, err := p.Write(b); err != nil {
				return
			}
		}
	}()
	var messages, pongs []wire.Frame
	code := v.Error
	for _, e := range v.Events {
		switch e.Name {
		case "text":
			messages = append(messages, wire.Frame{First: wire.Fin | wire.Text, Payload: e.Payload})
		case "binary":
			messages = append(messages, wire.Frame{First: wire.Fin | wire.Binary, Payload: e.Payload})
		case "ping":
			pongs = append(pongs, wire.Frame{First: wire.Fin | wire.Pong, Payload: e.Payload})
		case "close":
			code = e.Code
		}
	}
	// Pongs may overtake messages, so each kind is in an order of its own; that no pong is late, the session's test holds.
	for range len(messages) + len(pongs) {
		f, err := p.next()
		if err != nil {
			t.Fatalf("%v, want %d messages and %d pongs more", err, len(messages), len(pongs))
		}
		kind := &messages
		if f.First == wire.Fin|wire.Pong {
			kind = &pongs
		}
		if len(*kind) == 0 || (*kind)[0].First != f.First || !bytes.Equal((*kind)[0].Payload, f.Payload) {
			t.Fatalf("%v, want one of %.300v and %.300v", f, messages, pongs)
		}
		*kind = (*kind)[1:]
	}
	switch {
	case code != 0:
		p.closed(code)
	case v.End == "fin":
		<-written
		p.CloseWrite()
		p.gone()
	case v.End == "reset":
		<-written
		p.SetLinger(0)
		p.Close()
	case !strings.HasSuffix(v.Name, "not there yet"): // those end within a frame
		p.open()
	}
	if v.End != "" {
		if _, err := s.crowd.settle(); err != nil {
			t.Error(err)
		}
		if err := s.crowd.heardNothingLike("no"); err != nil {
			t.Error(err)
		}
	}
}

// playRequest plays a case of request.txt or http.txt.
func playRequest(t *testing.T, s *stand, v vectors.Vector) {
	// The request is made before the connection, since handshake_timeout counts from there and a request of 20 MB takes its time.
	request := v.Head(t, base)
	request = bytes.Replace(request, []byte("/chat"), []byte("/websocket"), 1)
	request = bytes.Replace(request, []byte("/CHAT"), []byte("/WEBSOCKET"), 1)
	if whole := v.Bytes(t, "request"); len(whole) > 0 {
		request = bytes.Replace(whole, []byte("/chat"), []byte("/websocket"), 1)
	}
	written, later := append(request, v.Bytes(t, "body")...), v.Bytes(t, "later")
	conn, err := wire.Connect(s.server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.dialled.Add(1)
	p := &peer{Conn: conn, t: t, stand: s}
	go func() {
		if _, err := conn.Write(written); err != nil {
			return
		}
		if pause, err := time.ParseDuration(v.Get("pause")); err == nil {
			time.Sleep(pause)
		}
		conn.Write(later)
	}()
	method, _, _ := strings.Cut(string(request[:min(10, len(request))]), " ")
	response, err := conn.Response(method)
	statuses := strings.Fields(v.Get("status"))
	if err != nil {
		if !slices.Contains(statuses, "0") {
			t.Fatalf("%v, want status %s", err, v.Get("status"))
		}
		return
	}
	if !slices.Contains(statuses, strconv.Itoa(response.StatusCode)) {
		t.Fatalf("%s, want %s", response.Status, v.Get("status"))
	}
	for _, line := range v.All("field") {
		field, value, _ := strings.Cut(line, ": ")
		if field == "Connection" && response.Close {
			continue // net/http hides all fields of this name from a client when one of them says close
		}
		if !slices.Contains(response.Header.Values(field), value) {
			t.Errorf("%s: %q, want %q", field, response.Header.Values(field), value)
		}
	}
	if absent := v.Get("absent"); response.Header.Get(absent) != "" {
		t.Errorf("%s: %q, want none", absent, response.Header.Get(absent))
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		for _, reply := range v.All("reply") {
			kind, payload, _ := strings.Cut(reply, " ")
			first := map[string]byte{"text": wire.Text, "binary": wire.Binary, "pong": wire.Pong}[kind]
			p.expect(wire.Frame{First: wire.Fin | first, Payload: v.Parse(t, payload)})
		}
		if response.Header.Get("Sec-WebSocket-Protocol") != "" {
			p.v1 = true
			p.greeted()
		}
		p.open()
		return
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil && !response.Close {
		t.Errorf("the body of the answer: %v", err)
	}
	if response.Close {
		if f, err := p.ReadFrame(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("behind the answer: %v, %v; want the end", f, err)
		}
	}
}
