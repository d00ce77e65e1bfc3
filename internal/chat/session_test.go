package chat

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/wsproto"
)

// FuzzSession feeds a session any bytes, in pieces of any size, in both forms. It does not panic or hang, everything
// that it sends is well-formed (in doyasa.v1 JSON, with `hello` first), and the last frame is the only Close.
func FuzzSession(f *testing.F) {
	text := func(texts ...string) (b []byte) {
		for _, t := range texts {
			b = append(b, frame(wsproto.OpText, t)...)
		}
		return b
	}
	part := func(op wsproto.Opcode, payload string, fin bool) []byte {
		return wsproto.AppendFrame(nil, wsproto.Header{Fin: fin, Opcode: op, Masked: true}, []byte(payload))
	}
	raw := func(s string) []byte { b, _ := hex.DecodeString(s); return b }
	bye := func(code wsproto.CloseCode, reason string) []byte {
		return frame(wsproto.OpClose, string(wsproto.AppendClosePayload(nil, code, reason)))
	}
	say := `{"type":"say","text":"hi","id":"` + someID + `"}`
	for _, stream := range [][]byte{
		slices.Concat(text("hello"), frame(wsproto.OpPing, "x"), bye(1000, "done")),
		text(say, say),
		text(`{"type":"name","name":"B"}`, `{"type":"say","text":"x"}`, "1", "2", "3", "4"),
		text(`{"type":"beat"}`, `{"type":"beat"}`, `{"type":"beat","seq":1}`),
		slices.Concat(part(wsproto.OpText, "a", false), frame(wsproto.OpPing, "b"), part(wsproto.OpContinuation, "c", true), frame(wsproto.OpBinary, "\x00\xff"), text(""), bye(0, "")),
		slices.Concat(text("ok"), raw("838000000000")),
		slices.Concat(text("ok"), raw("818101020304fe")),
		raw("81ff000000000001000101020304"),
		raw("88820102030402eb"),
		text("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
	} {
		f.Add(stream, true, 3)
		f.Add(stream, false, 1000)
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
	s := newBench(t, func(c *config.Config) {
		c.Limits.MessageBytes, c.Limits.MessageFragments, c.Limits.TextBytes = 300, 5, 100
	})
	early := bytes.Clone(stream[:min(size, len(stream))])
	peer := s.serve(early, &Request{Room: "fuzz", Name: "F", History: 10, V1: v1})
	for piece := range slices.Chunk(stream[len(early):], size) {
		if _, err := peer.Write(piece); err != nil {
			break // closed already
		}
		synctest.Wait()
	}
	time.Sleep(time.Duration(len(stream)/7+1) * time.Second) // until everything that waits for the rate is said; a message has 7 bytes at least
	var down sync.WaitGroup
	down.Go(func() { s.shutdown(t) })
	got, err := io.ReadAll(peer)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	peer.Close()
	synctest.Wait()
	down.Wait()
	checkReceived(t, got, v1)
	if open, _ := s.Connections.Open(); open != 0 || len(s.all) != 0 {
		t.Errorf("%d connections, %d sessions are left", open, len(s.all))
	}
	if n := s.Input.Total(); n != 0 {
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
