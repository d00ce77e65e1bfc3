package server

import (
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/wsproto"
)

// closeGrace is how long a Close that is due waits for what must go before it; after as
// long again the connection ends without it.
const closeGrace = time.Second

// closing is a connection on its way to its end (RFC 6455 §7.1):
//
//  1. the member leaves, behind everything it has said, and nothing more is read;
//  2. the log is written up to where the room has said that it left;
//  3. the parting word and the Close frame are pending bytes, at a record boundary;
//  4. when they are written the source has ended: the loop half-closes, drains, closes.
type closing struct {
	since   time.Time
	code    wsproto.CloseCode
	reason  string
	parting []byte // frames that go right before the Close
	sent    bool   // the Close frame is among the pending bytes
}

// mute stops the reading for good. What is not looked at yet is dropped, what has been
// said is said, and then Shutdown is told.
func (s *session) mute() {
	s.release()
	s.muted, s.paid = true, true
	if s.unsaid == nil {
		s.server.silence(s)
	}
}

// shutdown tells the client when to come back and closes.
func (s *session) shutdown(slot time.Duration) {
	s.close(wsproto.CloseServiceRestart, "restart", s.proto.bye(slot))
}

// close begins the end. The first reason counts.
func (s *session) close(code wsproto.CloseCode, reason string, parting []byte) {
	if s.closing != nil {
		return
	}
	s.event(zerolog.DebugLevel).Uint16("code", uint16(code)).Str("reason", reason).Msg("closing")
	s.closing = &closing{since: time.Now(), code: code, reason: reason, parting: parting}
	s.release()
	s.abandon()
	s.paid = true
	s.depart(false)
	s.conn.Wake()
}

// depart leaves the room, behind everything that was said: unless it is now or never,
// a message that the room has no space for comes first.
func (s *session) depart(now bool) {
	if s.departed || !now && s.unsaid != nil && !s.offer() {
		return
	}
	s.departed = true
	if s.member == nil {
		s.left = true
		return
	}
	s.member.Leave()
}

// finish adds the Close frame to what is pending when it is due. The error io.EOF means
// that everything is written.
func (s *session) finish() error {
	c := s.closing
	late := time.Since(c.since) >= closeGrace
	s.depart(late)
	there := s.left && !s.catching && (!s.following || s.member.Cursor().Offset() >= s.end)
	if !c.sent && (there || late) {
		c.sent = true
		s.out = append(s.out, c.parting...)
		s.out = appendFrame(s.out, wsproto.OpClose, wsproto.AppendClosePayload(nil, c.code, c.reason))
	}
	if c.sent && len(s.out) == 0 {
		return io.EOF
	}
	return nil
}

// overdue cuts the connection off if even the Close frame could not be written.
func (c *closing) overdue(now time.Time) error {
	if now.Sub(c.since) > 2*closeGrace {
		return errUnfinished
	}
	return nil
}
