package chat

import (
	"testing"

	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/wsproto"
)

// All unfinished messages together are bounded: when there is no memory left, long ones are refused, and short ones
// still pass.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	input := limit.NewInputBytes(0)
	shared := &Sessions{Options: Options{Input: input}}
	newSession := func() *session {
		return &session{shared: shared, in: wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{})}
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
	if held := input.Total(); held < 19_999 {
		t.Errorf("%d bytes are counted, want at least 19,999", held)
	}
	input.Add(limit.MaxInput)
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
	if got := input.Total() - limit.MaxInput; got != int64(second.in.Buffered()) {
		t.Errorf("%d bytes are counted, want those of the second, %d", got, second.in.Buffered())
	}
}
