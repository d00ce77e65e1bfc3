package chat

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// A session ends in these steps (RFC 6455 §7.1):
//
//  1. The reason is decided, and nothing more is read.
//  2. The member leaves the room after everything that it has said.
//  3. The log is written up to the offset at which the room says that the member left.
//  4. The Close frame is queued at a record boundary, and nothing is queued after it.
//  5. When the Close frame is written, Due returns io.EOF: the loop half-closes, drains and closes.

// closeGrace is how long a Close frame may wait for the bytes before it. After twice that time the connection
// ends without a Close frame.
const closeGrace = time.Second

// The errors with which a session ends its connection.
var (
	errClosing    = errors.New("closing: nothing more is read")
	errUnfinished = errors.New("the frame in progress could not be finished in time")
)

// An ending is the reason why a session ends. During a shutdown it has no code at first: nothing more is
// read, and the code is set once everything that the client sent has been said.
type ending struct {
	since   time.Time
	code    wsproto.CloseCode
	reason  string
	parting []byte // whole frames that are sent right before the Close frame
}

func (e *ending) decided() bool { return e != nil && e.code != 0 }

// decide stops the reading and sets the reason for the end. Only the first reason counts: decide returns true
// for it, and false for all later ones.
func (s *session) decide(code wsproto.CloseCode, reason string) bool {
	if s.ending.decided() {
		return false
	}
	s.event(zerolog.DebugLevel).Uint16("code", uint16(code)).Str("reason", reason).Msg("closing")
	s.ending = &ending{since: time.Now(), code: code, reason: reason}
	s.dropInput()
	s.conn.Wake()
	return true
}

// close begins the end of a session that can still be written to. It does nothing if the session is ending
// already.
func (s *session) close(code wsproto.CloseCode, reason string) {
	if s.decide(code, reason) && s.phase == live {
		s.leave(leaving)
	}
}

// closeWith is close with one of the stable codes.
func (s *session) closeWith(why *Code) { s.close(why.Close[0], why.Name) }

// withdraw ends a session that cannot follow the log. Only the bytes that are already pending are written
// before the Close frame.
func (s *session) withdraw(why *Code) {
	s.decide(why.Close[0], why.Name)
	switch s.phase {
	case asking: // there is no room that could answer
		s.finish()
	case greeting, catchingUp, handingOver, live:
		s.leave(withdrawing)
	case leaving: // the room has been told already
		s.phase = withdrawing
	case left:
		s.finish()
	}
}

// leave tells the room that the member leaves after everything that it has said. If a message still waits for
// space in the room, proceed tells the room after that message.
func (s *session) leave(p phase) {
	s.phase = p
	if s.unsent == nil || s.offer() {
		s.member.Leave()
	}
}

// leaveNow tells the room that the member leaves, unless the room has been told already. A message that still
// waits is dropped.
func (s *session) leaveNow() {
	if s.member != nil {
		s.member.Leave()
	}
	if s.unsent != nil {
		s.shared.Input.Add(-len(s.unsent.Payload))
		s.unsent, s.charged = nil, false
		s.shared.silence(s) // nothing is left to be said
	}
}

// hasLeft handles the room's answer: everything that the member said is in the log before end.
func (s *session) hasLeft(end int64) {
	switch s.phase {
	case leaving:
		s.phase, s.until = left, end
	case withdrawing:
		s.finish()
	}
}

// finish queues the Close frame. Everything that has not been said or written by now is dropped.
func (s *session) finish() {
	s.leaveNow()
	if s.phase == asking {
		s.member = nil // the member has no cursor, and will not get one
	}
	s.phase = closing
	s.out = append(s.out, s.ending.parting...)
	s.out = wsproto.AppendCloseFrame(s.out, nil, s.ending.code, s.ending.reason)
}

// hurry ends a session whose end takes too long. After closeGrace the Close frame is sent as soon as the
// frame in progress is written. After twice that time the connection ends without it.
func (s *session) hurry(now time.Time) error {
	took := now.Sub(s.ending.since)
	switch {
	case took > 2*closeGrace:
		return errUnfinished
	case took >= closeGrace && s.phase != closing:
		s.finish()
	}
	s.conn.Wake()
	return nil
}

// Panicked implements loop.Session. The Close frame follows the pending bytes, which end with a whole frame.
func (s *session) Panicked(v any, stack []byte) []byte {
	s.shared.Counters.Panicked()
	s.about(s.shared.Log.WithLevel(zerolog.ErrorLevel)).Any("panic", v).Bytes("stack", stack).
		Msg("a bug in doyasa: this connection is closed, the server goes on; please report it with the stack")
	if s.phase == closing { // a Close frame is queued already
		return slices.Concat(s.rest(), s.out)
	}
	rest := s.rest()
	s.ending = &ending{since: time.Now(), code: Internal.Close[1], reason: Internal.Name}
	s.dropInput()
	s.finish()
	return slices.Concat(rest, s.out)
}

// Closed implements loop.Session.
func (s *session) Closed(err error) {
	if errors.Is(err, loop.ErrSlow) {
		s.event(zerolog.InfoLevel).Str("setting", "limits.slow_timeout").Stringer("allowed", s.shared.Limits.SlowTimeout).
			Msg("closed: it reads too slowly, or no more")
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.event(zerolog.DebugLevel).AnErr("cause", err).Msg("gone")
	s.shared.lag.set(s, 0)
	s.shared.sample.end(s.timed)
	s.shared.Counters.Closed(s.closeLabel())
	s.leaveNow()
	if s.who != nil {
		s.shared.identities.part(s.who)
	}
	s.dropInput()
	s.shared.remove(s)
}
