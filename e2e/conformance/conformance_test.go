// Package conformance_test holds the running server to RFC 6455: with the limits raised and one raw client in a room it is a strict
// echo. The sections are those of the suite that WebSocket implementations are usually graded with; the cases are our own.
package conformance_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

// A session is what the client sends and what must come back.
type session struct {
	name string
	send [][]byte     // written one after the other
	want []wire.Frame // these, in this order, before the Close frame
	code int          // of the Close frame that must come; 0: none until the client sends one with 1000, after the last of want
}

// echoed is a session in which every message comes back whole.
func echoed(name string, send [][]byte, messages ...wire.Frame) session {
	return session{name: name, send: send, want: messages}
}

func text(s string) wire.Frame { return wire.Frame{First: wire.Fin | wire.Text, Payload: []byte(s)} }
func binary(s string) wire.Frame {
	return wire.Frame{First: wire.Fin | wire.Binary, Payload: []byte(s)}
}
func pong(s string) wire.Frame { return wire.Frame{First: wire.Fin | wire.Pong, Payload: []byte(s)} }

// frame is one frame of the client, and final one with FIN.
func frame(first byte, payload string) []byte { return wire.Append(nil, first, []byte(payload)) }
func final(opcode byte, payload string) []byte {
	return frame(wire.Fin|opcode, payload)
}

// closing is a Close frame of the client.
func closing(code int, reason string) []byte {
	return wire.Append(nil, wire.Fin|wire.Close, wire.ClosePayload(code, reason))
}

// chopped cuts what is sent into writes of n bytes.
func chopped(n int, send ...[]byte) (chops [][]byte) {
	all := bytes.Join(send, nil)
	for len(all) > n {
		chops, all = append(chops, all[:n:n]), all[n:]
	}
	return append(chops, all)
}

// join makes one write of several frames.
func join(frames ...[]byte) [][]byte { return [][]byte{bytes.Join(frames, nil)} }

// each runs a test against a server with each implementation of the sockets; each session has a room to itself.
func each(t *testing.T, test func(t *testing.T, s *doyasa.Server)) {
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		test(t, start(t, "--limits-messages-per-second", "0", "--limits-message-bytes", "64MiB", "--limits-message-fragments", "0"))
	})
}

var rooms atomic.Int64

// runEach plays sessions against each implementation.
func runEach(t *testing.T, sessions []session) {
	t.Helper()
	each(t, func(t *testing.T, s *doyasa.Server) { run(t, s, sessions) })
}

// run plays sessions against s.
func run(t *testing.T, s *doyasa.Server, sessions []session) {
	t.Helper()
	for _, c := range sessions {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			play(t, s, c)
		})
	}
}

func play(t *testing.T, s *doyasa.Server, c session) {
	conn, err := wire.Dial(s.Addr, fmt.Sprintf("/websocket?room=c%d", rooms.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	written := make(chan error, 1) // how the writing ended, once; never closed
	go func() {
		for _, b := range c.send {
			if _, err := conn.Write(b); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for i, want := range c.want {
		got, err := conn.ReadFrame()
		if err != nil {
			t.Fatalf("frame %d of %d: %v, want %v", i+1, len(c.want), err, want)
		}
		if got.First != want.First || !bytes.Equal(got.Payload, want.Payload) {
			t.Fatalf("frame %d of %d: %v, want %v", i+1, len(c.want), got, want)
		}
	}
	code := c.code
	if code == 0 {
		code = 1000
		if err := <-written; err != nil {
			t.Fatalf("the server no longer takes what is sent: %v", err)
		}
		conn.Write(closing(1000, ""))
	}
	ends(t, conn, code)
}

// ends checks that the connection ends with one Close frame of a code, and cleanly.
func ends(t *testing.T, conn *wire.Conn, code int) {
	t.Helper()
	got, err := conn.ReadFrame()
	if err != nil {
		t.Fatalf("%v, want Close %d", err, code)
	}
	if got.Code() != code || len(got.Payload) >= 2 && !utf8.Valid(got.Payload[2:]) {
		t.Fatalf("%v (Close code %d), want Close %d with a reason in UTF-8", got, got.Code(), code)
	}
	if got, err = conn.ReadFrame(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the Close frame: %v, %v; want the end of the stream, without a reset", got, err)
	}
}
