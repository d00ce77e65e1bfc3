package chat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/vectors"
	"github.com/doyasa/doyasa/wsproto"
)

// serverStreams are the vectors for the role of the server, with default limits.
func serverStreams(t testing.TB) []vectors.Stream {
	all := vectors.ReadStreams(t, "../../wsproto/testdata/stream.txt", "../../wsproto/testdata/hostile.txt")
	all = slices.DeleteFunc(all, func(s vectors.Stream) bool { return s.Client || !s.Defaults })
	if len(all) == 0 {
		t.Fatal("no vector is left")
	}
	return all
}

// TestStreamVectors feeds each vector to a raw session: whole, byte by byte, and cut in two at every place. Alone in its room the
// session sends every message back, answers pings, and ends as the vector says. With go test -short only every 17th cut is tried.
func TestStreamVectors(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 17
	}
	for _, v := range serverStreams(t) {
		t.Run(v.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newBench(t, func(c *config.Config) { c.Limits.MessagesPerSecond = 0 })
				defer s.shutdown(t)
				wire := v.Wire()
				playStream(t, s, v, "whole", wire)
				playStream(t, s, v, "byte by byte", slices.Collect(slices.Chunk(wire, 1))...)
				for cut := 1; cut < len(wire); cut += step {
					playStream(t, s, v, fmt.Sprintf("cut at %d", cut), wire[:cut], wire[cut:])
					if cut >= 300 { // payload follows, and the end
						cut = max(cut, len(wire)-20)
					}
				}
			})
		})
	}
}

// playStream opens a session, writes the pieces, and checks all that comes back.
func playStream(t *testing.T, s *bench, v vectors.Stream, how string, pieces ...[]byte) {
	t.Helper()
	peer := s.serve(nil, &Request{Room: "vector", Name: "V"})
	defer peer.Close()
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
	same := func(a, b vectors.Event) bool {
		return a.Name == b.Name && a.Code == b.Code && bytes.Equal(a.Payload, b.Payload)
	}
	if said := decode(t, got); !slices.EqualFunc(pongsFirst(said, want), want, same) {
		t.Errorf("%s: the server says %.300s, want %.300s", how, fmt.Sprint(said), fmt.Sprint(want))
	}
}

// pongsFirst moves pongs that have overtaken messages back to their place. They may overtake, because the room does not order them,
// but no pong may come after the echo of a message that was sent after its ping.
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

// decode reads what the server has sent. The reasons of Close frames are left out.
func decode(t *testing.T, got []byte) (said []vectors.Event) {
	in := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	for len(got) > 0 {
		ev, rest, err := in.Next(got)
		if err != nil {
			t.Fatalf("the server sent nonsense: %v", err)
		}
		got = rest
		switch ev.Opcode {
		case wsproto.OpContinuation: // there is no further whole message
		case wsproto.OpClose:
			said = append(said, vectors.Event{Name: "close", Code: int(ev.Code)})
		default:
			said = append(said, vectors.Event{Name: ev.Opcode.String(), Payload: bytes.Clone(ev.Payload)})
		}
	}
	return said
}
