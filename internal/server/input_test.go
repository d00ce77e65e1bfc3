package server

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/wsproto"
)

// The input of senders over their rate, which has been read and must wait, is bounded as well: when there is no memory
// left, a sender with more than its free share is closed, and its bytes are not counted any more.
func TestWaitingInputIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spare  int
		text   string
		closed bool
	}{
		{"much, and memory", limit.MaxInput, "text {x*3000} + ", false},
		{"much, and none", 0, "text {x*3000} + ", true},
		{"little, and none", 0, "text x + ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, do := newPlay(t)
				defer p.end()
				do("config limits.messages_per_second=1 limits.burst=2")
				do("A connect raw /websocket")
				others := limit.MaxInput - tt.spare
				p.server.input.Add(others)
				do("A > " + strings.Repeat(tt.text, 9) + "text last")
				if held := p.server.input.Total() - int64(others); !tt.closed && held < int64(len(tt.text)) {
					t.Errorf("%d bytes are counted while eight messages wait", held)
				}
				time.Sleep(30 * time.Second)
				synctest.Wait()
				var got strings.Builder
				p.show(&got)
				if closed := strings.Contains(got.String(), "close 1013 busy"); closed != tt.closed || strings.Contains(got.String(), "< last") == tt.closed {
					t.Errorf("closed %v, want %v; a sender that waits loses nothing; it got\n%s", closed, tt.closed, got.String())
				}
				if left := p.server.input.Total() - int64(others); left != 0 {
					t.Errorf("%d bytes are still counted", left)
				}
			})
		})
	}
}

// A message that waits for the room or for the rate counts as well, however it has come.
func TestWaitingMessageIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spare  int
		size   int
		closed bool
	}{
		{"large, and memory", limit.MaxInput, 60_000, false},
		{"large, and none", 0, 60_000, true},
		{"small, and none", 0, 1000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config.Default()
				cfg.Limits.MessagesPerSecond, cfg.Limits.Burst = 1, 1
				s, err := New(Options{Config: cfg, Log: zerolog.Nop(), Page: fstest.MapFS{}})
				if err != nil {
					t.Fatal(err)
				}
				others := limit.MaxInput - tt.spare
				s.input.Add(others)
				header := wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}
				text := bytes.Repeat([]byte("x"), tt.size)
				both := wsproto.AppendFrame(wsproto.AppendFrame(nil, header, nil), header, text)
				peer, nc := conntest.Pair(1 << 20)
				s.connections.Reserve(limit.Peer{}.Network())
				s.sessions.Serve(nc, both, &chat.Request{Room: "r"})
				synctest.Wait()
				if waits := s.input.Total() - int64(others); waits != int64(tt.size) && !tt.closed {
					t.Errorf("%d bytes are counted, want the %d of the message that waits", waits, tt.size)
				}
				time.Sleep(2 * time.Second)
				go s.Shutdown(t.Context())
				got, err := io.ReadAll(peer)
				if err != nil {
					t.Fatal(err)
				}
				peer.Close()
				synctest.Wait()
				if closed := bytes.HasSuffix(got, []byte("busy")); closed != tt.closed || !bytes.Contains(got, text) {
					t.Errorf("closed %v, want %v, behind the message; got %d bytes, …%.40q", closed, tt.closed, len(got), got[max(0, len(got)-20):])
				}
				if left := s.input.Total() - int64(others); left != 0 {
					t.Errorf("%d bytes are still counted", left)
				}
			})
		})
	}
}

// The parts of a message that will never be complete are dropped with the Close, not only at the end of the
// connection.
func TestClosingLetsGoOfPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, do := newPlay(t)
		defer p.end()
		do("A connect raw /websocket")
		do("A stall")
		p.server.input.Add(limit.MaxInput)
		do("A > hex 81fe4e2000000000{7*12000}") // a part of a message of 20,000 bytes
		var got strings.Builder
		p.show(&got)
		if got.Len() > 0 {
			t.Errorf("it reads although it is stalled: %s", got.String())
		}
		if held := p.server.input.Total() - limit.MaxInput; held != 0 {
			t.Errorf("%d bytes are held of a message whose connection is closing", held)
		}
	})
}
