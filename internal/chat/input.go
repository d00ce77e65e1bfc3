package chat

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// How input is handled: Feed takes bytes, consume finds messages in them, the form acts on each message, and
// say offers the message to the room. Input that must wait is kept, either as bytes (held) or as a message
// (unsent). proceed continues with it when the cause is gone:
//
//	cause                           proceed is called by
//	the room had no space           Wake
//	the sender had no token         a timer
//	too many bytes were pending     Wrote
//	too many pings or beats came    Tick

// Limits on a session's input.
const (
	maxPending  = 16 << 10 // pending bytes: if more wait to be written to a connection, the session stops reading from it
	maxAnswered = 250      // pings and beats that are answered between two ticks; if more come, the session stops reading until the next tick
)

// Feed implements loop.Feeder.
func (s *session) Feed(b []byte) error {
	s.heard = true
	if s.ending != nil {
		return errClosing
	}
	if s.Paused() {
		s.hold(b)
	} else if err := s.consume(b); err != nil {
		return err
	}
	if s.shared.Input.Over(s.waiting()) {
		return s.overBudget()
	}
	return nil
}

// Paused implements loop.Feeder.
func (s *session) Paused() bool {
	return s.unsent != nil || len(s.held) > 0 || s.full()
}

// full tells whether too many bytes are pending, so that the client must read them before the session reads
// more.
func (s *session) full() bool {
	return len(s.out)+int(s.reserved)+int(s.beats)*beatBytes > maxPending || s.answered >= maxAnswered
}

// waiting is the number of bytes that have been read and are still waiting to be handled.
func (s *session) waiting() int {
	if s.unsent == nil {
		return len(s.held)
	}
	return len(s.held) + len(s.unsent.Payload)
}

// hold keeps bytes that must wait. They count against the same budget as an unfinished message.
func (s *session) hold(b []byte) {
	s.held = append(s.held, b...)
	s.shared.Input.Add(len(b))
}

// release returns the held bytes and stops holding them.
func (s *session) release() []byte {
	b := s.held
	s.held = nil
	s.shared.Input.Add(-len(b))
	return b
}

// dropInput drops the input that is not yet a message. It does so before the connection ends, because that
// takes up to two seconds in which new connections would add to the memory.
func (s *session) dropInput() {
	s.release()
	if s.in != nil {
		s.shared.Input.Add(-s.in.Buffered())
		s.in = nil
	}
}

// consume acts on what the client has sent. A session borrows an assembler only while it has received a part
// of a message. Most sessions have none most of the time.
func (s *session) consume(b []byte) error {
	if s.in == nil {
		s.in = s.shared.assemblers.Get().(*wsproto.Assembler)
		if s.shared.Log.GetLevel() <= zerolog.TraceLevel {
			s.in.OnHeader = s.traceHeader
		}
	}
	err := s.assemble(b)
	if s.in != nil && s.in.Between() {
		s.in.OnHeader = nil
		s.shared.assemblers.Put(s.in)
		s.in = nil
	}
	return err
}

func (s *session) traceHeader(h wsproto.Header) {
	s.event(zerolog.TraceLevel).Bool("fin", h.Fin).Uint8("rsv", h.RSV).Stringer("opcode", h.Opcode).
		Bool("masked", h.Masked).Int64("length", h.PayloadLen).Msg("frame in")
}

// assemble finds whole messages in what the client has sent, until the rest must wait.
func (s *session) assemble(b []byte) error {
	for len(b) > 0 {
		if s.Paused() {
			s.hold(b)
			return nil
		}
		var ev wsproto.Event
		var err error
		before := s.in.Buffered()
		ev, b, err = s.in.Next(b)
		if !s.account(before) {
			return s.overBudget()
		}
		if err != nil {
			s.violated(err)
			return err
		}
		switch ev.Opcode {
		case wsproto.OpText, wsproto.OpBinary:
			s.form.receive(ev)
		case wsproto.OpPing:
			s.answered++
			s.out = appendFrame(s.out, wsproto.OpPong, ev.Payload)
			s.conn.Wake()
		case wsproto.OpClose:
			s.close(ev.Code, "")
		}
		if s.ending != nil {
			return errClosing
		}
	}
	return nil
}

// account updates the count of input bytes for an unfinished message, whose size was before until now. It
// tells whether the budget allows the new size.
func (s *session) account(before int) bool {
	held := s.in.Buffered()
	s.shared.Input.Add(held - before)
	return held <= before || !s.shared.Input.Over(held)
}

// overBudget closes a connection that holds more than its free share while the budget for all input is used
// up.
func (s *session) overBudget() error {
	s.event(zerolog.InfoLevel).Int64("seen", s.shared.Input.Total()).Int64("allowed", s.shared.Input.Max()).
		Msg("closed: the unfinished and waiting input of all connections takes too much memory, and this connection sent more")
	s.closeWith(Busy)
	return errClosing
}

// violated closes a connection that has broken the protocol or a limit.
func (s *session) violated(err error) {
	code := wsproto.CloseCodeOf(err)
	event := s.event(zerolog.InfoLevel).Err(err).Uint16("code", uint16(code))
	switch code {
	case wsproto.CloseMessageTooBig:
		event = event.Str("setting", "limits.message_bytes").Int64("allowed", s.shared.Limits.MessageBytes)
	case wsproto.ClosePolicyViolation:
		event = event.Str("setting", "limits.message_fragments").Int("allowed", s.shared.Limits.MessageFragments)
	}
	event.Msg("closed: protocol violation")
	reason := ""
	if violation, ok := errors.AsType[*wsproto.ProtocolError](err); ok {
		reason = violation.Detail
	}
	s.close(code, reason)
}

// say offers a message to the room as soon as the rate and the room allow. charged means that a token has
// been taken for the message already. Until it is said, the message counts against the same budget as an
// unfinished one.
func (s *session) say(m *hub.Message, charged bool) {
	s.unsent, s.charged = m, charged
	s.shared.Input.Add(len(m.Payload))
	s.offer()
}

// offer tries to say the message that waits. During the end of a session the rate no longer delays the
// message.
func (s *session) offer() bool {
	if !s.charged && s.ending == nil && !s.charge() {
		return false
	}
	size := len(s.unsent.Payload) // read before Say: afterwards the room owns the message
	if !s.member.Say(s.unsent) {
		return false
	}
	s.unsent, s.charged = nil, false
	s.shared.Input.Add(-size)
	if s.ending != nil {
		s.shared.silence(s)
	}
	return true
}

// charge takes a token for the message that waits. If there is none, a timer calls proceed when there is one.
func (s *session) charge() bool {
	now := time.Now()
	wait, setting := s.token(now)
	if setting == "" {
		s.charged = true
		return true
	}
	if s.shared.clock(now) >= s.tokenAt { // one timer at a time
		s.shared.Counters.Throttled(setting)
		wait = max(time.Millisecond, (wait + time.Millisecond - 1).Truncate(time.Millisecond)) // round up, so that the timer does not fire before the token is there
		s.tokenAt = s.shared.clock(now) + wait
		time.AfterFunc(wait, s.Wake)
	}
	return false
}

// token takes one token from the connection's bucket and one from the bucket of its address. If either has
// none, it takes neither. Then setting names the limit that was reached, and wait is how long until a token
// is there. Otherwise setting is empty.
func (s *session) token(now time.Time) (wait time.Duration, setting string) {
	before := s.bucket
	wait, ok := s.bucket.Take(s.shared.Quotas.Connection, now)
	if !ok {
		return wait, "messages_per_second"
	}
	if wait, ok = s.shared.Quotas.Messages.Take(s.from().Network(), now); !ok {
		s.bucket = before
		return wait, "messages_per_second_per_ip"
	}
	return 0, ""
}

// proceed continues with the input that had to wait, if it need not wait any longer.
func (s *session) proceed() {
	if s.unsent != nil {
		if !s.offer() {
			return
		}
		if s.phase == leaving || s.phase == withdrawing {
			s.member.Leave()
		}
	}
	if len(s.held) > 0 && !s.full() && s.ending == nil {
		s.consume(s.release()) // consume has put any error into ending
	}
}
