package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/internal/vectors"
	"github.com/doyasa/doyasa/wsproto"
)

// serverStreams are the vectors for the side that we are, with the limits of a server that was told nothing.
func serverStreams(t testing.TB) []vectors.Stream {
	all := vectors.ReadStreams(t, "../../wsproto/testdata/stream.txt", "../../wsproto/testdata/hostile.txt")
	all = slices.DeleteFunc(all, func(s vectors.Stream) bool { return s.Client || !s.Defaults })
	if len(all) == 0 {
		t.Fatal("no vector is left")
	}
	return all
}

// TestStreamVectors feeds a raw session each vector, whole, byte by byte and cut in two everywhere: alone in its room it sends every
// message back, answers pings, and ends as the vector says.
func TestStreamVectors(t *testing.T) {
	for _, v := range serverStreams(t) {
		t.Run(v.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config.Default()
				cfg.Limits.MessagesPerSecond = 0
				s, err := New(Options{Config: cfg, Log: zerolog.Nop(), Page: fstest.MapFS{}})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Shutdown(context.Background())
				wire := v.Wire()
				playStream(t, s, v, "whole", wire)
				playStream(t, s, v, "byte by byte", slices.Collect(slices.Chunk(wire, 1))...)
				for cut := 1; cut < len(wire); cut++ {
					playStream(t, s, v, fmt.Sprintf("cut at %d", cut), wire[:cut], wire[cut:])
					if cut == 300 { // what comes behind is payload, and the end
						cut = max(cut, len(wire)-20)
					}
				}
			})
		})
	}
}

// playStream opens a session, writes the pieces, and checks all that comes back.
func playStream(t *testing.T, s *Server, v vectors.Stream, how string, pieces ...[]byte) {
	t.Helper()
	peer, nc := conntest.Pair(1 << 20)
	defer peer.Close()
	s.reserve(requester{})
	s.sockets.Serve(nc, nil, func(c loop.Conn) loop.Session { return s.open(c, &query{room: "vector", name: "V"}, "") })
	for _, piece := range pieces {
		if _, err := peer.Write(bytes.Clone(piece)); err != nil {
			break // closed already
		}
		synctest.Wait()
	}
	if v.Error == 0 {
		peer.CloseWrite()
	}
	got, err := io.ReadAll(peer)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%s: %v", how, err)
	}
	var want []vectors.Event
	code := v.Error
	for _, e := range v.Events {
		switch e.Name {
		case "ping":
			want = append(want, vectors.Event{Name: "pong", Payload: e.Payload})
		case "close":
			code = e.Code
		case "text", "binary":
			want = append(want, e)
		}
	}
	if code != 0 {
		want = append(want, vectors.Event{Name: "close", Code: code})
	}
	if said := decode(t, got); fmt.Sprint(pongsFirst(said, want)) != fmt.Sprint(want) {
		t.Errorf("%s: the server says %.300s, want %.300s", how, fmt.Sprint(said), fmt.Sprint(want))
	}
}

// pongsFirst moves those pongs of said back that have overtaken messages, which they may: they are not the room's to order. None
// may come behind what was said after its ping.
func pongsFirst(said, want []vectors.Event) []vectors.Event {
	said = slices.Clone(said)
	for i := range said {
		if i < len(want) && want[i].Name != "pong" && said[i].Name == "pong" {
			if next := slices.IndexFunc(said[i:], func(e vectors.Event) bool { return e.Name != "pong" }); next > 0 {
				message := said[i+next]
				said = slices.Insert(slices.Delete(said, i+next, i+next+1), i, message)
			}
		}
	}
	return said
}

// decode reads what a server has sent. The reasons of its Close frames are its own affair.
func decode(t *testing.T, got []byte) (said []vectors.Event) {
	in := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	for len(got) > 0 {
		ev, rest, err := in.Next(got)
		if err != nil {
			t.Fatalf("the server sent nonsense: %v", err)
		}
		got = rest
		switch ev.Opcode {
		case wsproto.OpContinuation: // nothing is complete any more
		case wsproto.OpClose:
			said = append(said, vectors.Event{Name: "close", Code: int(ev.Code)})
		default:
			said = append(said, vectors.Event{Name: ev.Opcode.String(), Payload: bytes.Clone(ev.Payload)})
		}
	}
	return said
}
