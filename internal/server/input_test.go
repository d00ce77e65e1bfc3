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

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// All unfinished messages together are bounded: when there is no memory left, those who
// make theirs longer are refused, and short ones still pass.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	server := new(Server)
	newSession := func() *session {
		return &session{server: server, in: wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{})}
	}
	feed := func(s *session, b []byte) bool {
		t.Helper()
		ok := true
		for len(b) > 0 {
			before := s.in.Buffered()
			var err error
			if _, b, err = s.in.Next(b); err != nil {
				t.Fatal(err)
			}
			ok = s.account(before) && ok
		}
		return ok
	}
	begun := wsproto.AppendHeader(nil, wsproto.Header{Opcode: wsproto.OpBinary, Fin: true, Masked: true, PayloadLen: 20_000})

	first := newSession()
	if !feed(first, append(begun, make([]byte, 19_999)...)) {
		t.Error("refused although there is memory")
	}
	if held := server.assembling.Load(); held < 19_999 {
		t.Errorf("%d bytes are counted, want at least 19,999", held)
	}
	server.assembling.Add(maxAssembling)
	second := newSession()
	if !feed(second, append(begun, make([]byte, 1000)...)) {
		t.Error("a short one was refused")
	}
	if feed(second, make([]byte, 10_000)) {
		t.Error("a long one was let through although there is no memory")
	}
	if !feed(first, []byte{0}) {
		t.Error("the end of a message was refused")
	}
	if got := server.assembling.Load() - maxAssembling; got != int64(second.in.Buffered()) {
		t.Errorf("%d bytes are counted, want those of the second, %d", got, second.in.Buffered())
	}
}

// What has been read from a sender over its rate, and must wait, is bounded as well: who has more
// of it than a little is closed when there is no memory left, and what is counted is given back.
func TestWaitingInputIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spare  int64
		text   string
		closed bool
	}{
		{"much, and memory", maxAssembling, "text {x*3000} + ", false},
		{"much, and none", 0, "text {x*3000} + ", true},
		{"little, and none", 0, "text x + ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, do := newPlay(t)
				defer p.end()
				do("config limits.messages_per_second=1 limits.burst=2")
				do("A connect raw /websocket")
				others := maxAssembling - tt.spare
				p.server.assembling.Add(others)
				do("A > " + strings.Repeat(tt.text, 9) + "text last")
				if held := p.server.assembling.Load() - others; !tt.closed && held < int64(len(tt.text)) {
					t.Errorf("%d bytes are counted while eight messages wait", held)
				}
				time.Sleep(30 * time.Second)
				synctest.Wait()
				var got strings.Builder
				p.show(&got)
				if closed := strings.Contains(got.String(), "close 1013 busy"); closed != tt.closed || strings.Contains(got.String(), "< last") == tt.closed {
					t.Errorf("closed %v, want %v; a sender that waits loses nothing; it got\n%s", closed, tt.closed, got.String())
				}
				if left := p.server.assembling.Load() - others; left != 0 {
					t.Errorf("%d bytes are still counted", left)
				}
			})
		})
	}
}

// The message itself that the room or the rate has no place for counts as well, however it has come.
func TestWaitingMessageIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spare  int64
		size   int
		closed bool
	}{
		{"large, and memory", maxAssembling, 60_000, false},
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
				others := maxAssembling - tt.spare
				s.assembling.Add(others)
				header := wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}
				text := bytes.Repeat([]byte("x"), tt.size)
				both := wsproto.AppendFrame(wsproto.AppendFrame(nil, header, nil), header, text)
				peer, nc := conntest.Pair(1 << 20)
				s.reserve(requester{})
				s.sockets.Serve(nc, both, func(c loop.Conn) loop.Session { return s.open(c, &query{room: "r"}, "") })
				synctest.Wait()
				if waits := s.assembling.Load() - others; waits != int64(tt.size) && !tt.closed {
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
				if left := s.assembling.Load() - others; left != 0 {
					t.Errorf("%d bytes are still counted", left)
				}
			})
		})
	}
}

// What has come of a message that will never be whole is let go with the Close, not only when the
// connection has ended.
func TestClosingLetsGoOfPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, do := newPlay(t)
		defer p.end()
		do("A connect raw /websocket")
		do("A stall")
		p.server.assembling.Add(maxAssembling)
		do("A > hex 81fe4e2000000000{7*12000}") // of 20,000 bytes
		var got strings.Builder
		p.show(&got)
		if got.Len() > 0 {
			t.Errorf("it reads although it is stalled: %s", got.String())
		}
		if held := p.server.assembling.Load() - maxAssembling; held != 0 {
			t.Errorf("%d bytes are held of a message whose connection is closing", held)
		}
	})
}
