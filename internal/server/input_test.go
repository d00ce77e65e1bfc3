package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/internal/config"
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
				p := &play{t: t, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
				defer p.end()
				do := func(line string) {
					p.step(line)
					synctest.Wait()
				}
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
