package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// FuzzSession feeds a session whatever bytes there are, in pieces of any size, in both
// forms: it does not panic or hang, everything that comes back is well-formed, of
// doyasa.v1 it is JSON with hello first, and there is at most one Close, at the end.
func FuzzSession(f *testing.F) {
	c := new(client)
	for _, items := range []string{
		"text hello + ping x + close 1000 done",
		`text {"type":"say","text":"hi","id":"` + someID + `"} + text {"type":"say","text":"hi","id":"` + someID + `"}`,
		`text {"type":"name","name":"B"} + text {"type":"say","text":"x"} + text 1 + text 2 + text 3 + text 4`,
		"begin a + ping b + finish c + binary 00ff + text  + close 0",
		"text ok + hex 838000000000",
		"text ok + hex 818101020304fe",
		"hex 81ff000000000001000101020304",
		"hex 88820102030402eb",
		"text 1 + text 2 + text 3 + text 4 + text 5 + text 6 + text 7 + text 8 + text 9 + text 10 + text 11 + text 12",
	} {
		f.Add(c.frames(items), true, 3)
		f.Add(c.frames(items), false, 1000)
	}
	for i, v := range serverStreams(f) {
		f.Add(v.Wire(), false, i%20)
	}
	f.Fuzz(func(t *testing.T, stream []byte, v1 bool, size int) {
		stream = stream[:min(len(stream), 2000)]
		synctest.Test(t, func(t *testing.T) {
			feedSession(t, stream, v1, max(size, 1))
		})
	})
}

func feedSession(t *testing.T, stream []byte, v1 bool, size int) {
	cfg := config.Default()
	cfg.Limits.MessageBytes = 300
	cfg.Limits.MessageFragments = 5
	cfg.Limits.TextBytes = 100
	s, err := New(Options{Config: cfg, Log: zerolog.Nop(), Page: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	subprotocol := ""
	if v1 {
		subprotocol = subprotocolV1
	}
	peer, nc := conntest.Pair(1 << 20)
	s.reserve(requester{})
	q := &query{room: "fuzz", name: "F", history: 10}
	early := bytes.Clone(stream[:min(size, len(stream))])
	s.sockets.Serve(nc, early, func(c loop.Conn) loop.Session { return s.open(c, q, subprotocol) })
	for piece := range slices.Chunk(stream[len(early):], size) {
		if _, err := peer.Write(piece); err != nil {
			break // closed already
		}
		synctest.Wait()
	}
	time.Sleep(time.Duration(len(stream)/7+1) * time.Second) // what has to wait for the rate: each message is some bytes
	go s.Shutdown(context.Background())
	got, err := io.ReadAll(peer)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	peer.Close()
	synctest.Wait()
	checkReceived(t, got, v1)
	if s.conns != 0 || len(s.sessions) != 0 {
		t.Errorf("%d connections, %d sessions are left", s.conns, len(s.sessions))
	}
	if n := s.assembling.Load(); n != 0 {
		t.Errorf("%d bytes of nobody are still counted", n)
	}
}

// checkReceived checks all that a client has got.
func checkReceived(t *testing.T, got []byte, v1 bool) {
	in := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	closes, messages := 0, 0
	for len(got) > 0 {
		ev, rest, err := in.Next(got)
		if err != nil {
			t.Fatalf("the server sent nonsense: %v", err)
		}
		if ev.Opcode == wsproto.OpContinuation {
			t.Fatalf("the server stopped within a frame: %x", got)
		}
		got = rest
		switch ev.Opcode {
		case wsproto.OpClose:
			if closes++; len(rest) > 0 {
				t.Fatalf("%d bytes behind the Close frame", len(rest))
			}
		case wsproto.OpText, wsproto.OpBinary:
			if messages++; !v1 {
				continue
			}
			var f struct{ Type string }
			if err := json.Unmarshal(ev.Payload, &f); err != nil || ev.Opcode != wsproto.OpText {
				t.Fatalf("a doyasa.v1 client was sent %s %q", ev.Opcode, ev.Payload)
			}
			if (messages == 1) != (f.Type == "hello") {
				t.Errorf("frame %d is %s, want hello first and once", messages, f.Type)
			}
		}
	}
	if closes != 1 {
		t.Errorf("%d Close frames, want 1: the server shut down", closes)
	}
}
