package server

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// The way in: what a session makes of the bytes it is fed, and how it waits with them.

// Feed implements loop.Feeder.
func (s *session) Feed(b []byte) error {
	s.heard = true
	if s.closing != nil || s.muted {
		return errClosing
	}
	if s.Paused() {
		s.hold(b)
	} else if err := s.consume(b); err != nil {
		return err
	}
	if s.delayed() > fairPart && s.server.assembling.Load() > s.maxAssembling() {
		return s.greedy()
	}
	return nil
}

// delayed is how many bytes have been read and must wait.
func (s *session) delayed() int {
	if s.unsaid == nil {
		return len(s.held)
	}
	return len(s.held) + len(s.unsaid.Payload)
}

// hold keeps what has been read already and must wait, which counts like an unfinished message.
func (s *session) hold(b []byte) {
	s.held = append(s.held, b...)
	s.server.assembling.Add(int64(len(b)))
}

// release returns what was held, which is held no more.
func (s *session) release() []byte {
	b := s.held
	s.held = nil
	s.server.assembling.Add(-int64(len(b)))
	return b
}

// Paused implements loop.Feeder.
func (s *session) Paused() bool {
	return s.unsaid != nil || len(s.held) > 0 || s.full()
}

// abandon lets go of a message that has come in part and will never be whole, at once: the
// end of a connection takes up to two seconds, and those who come anew would add to it.
func (s *session) abandon() {
	if s.in != nil {
		s.server.assembling.Add(-int64(s.in.Buffered()))
		s.in = nil
	}
}

// maxPings is how many pings are answered between two ticks; a flood of them is read more
// slowly.
const maxPings = 250

func (s *session) full() bool { return len(s.out)+s.proto.later() > maxPending || s.pings >= maxPings }

// consume acts on what the peer has sent. An assembler is lent to a session while it has
// a part of a message: most have none, most of the time.
func (s *session) consume(b []byte) error {
	if s.in == nil {
		s.in = s.server.assemblers.Get().(*wsproto.Assembler)
		if s.server.log.GetLevel() <= zerolog.TraceLevel {
			s.in.OnHeader = s.traceHeader
		}
	}
	err := s.assemble(b)
	if s.in != nil && s.in.Between() {
		s.in.OnHeader = nil
		s.server.assemblers.Put(s.in)
		s.in = nil
	}
	return err
}

func (s *session) traceHeader(h wsproto.Header) {
	s.event(zerolog.TraceLevel).Bool("fin", h.Fin).Uint8("rsv", h.RSV).Stringer("opcode", h.Opcode).
		Bool("masked", h.Masked).Int64("length", h.PayloadLen).Msg("frame in")
}

// assemble finds whole messages in what the peer has sent, until something must wait.
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
			return s.greedy()
		}
		if err != nil {
			s.violation(err)
			s.close(wsproto.CloseCodeOf(err), violationReason(err), nil)
			return err
		}
		switch ev.Opcode {
		case wsproto.OpText, wsproto.OpBinary:
			s.proto.receive(ev)
		case wsproto.OpPing:
			s.pings++
			s.out = appendFrame(s.out, wsproto.OpPong, ev.Payload)
			s.conn.Wake()
		case wsproto.OpClose:
			s.close(ev.Code, "", nil)
		}
		if s.closing != nil {
			return errClosing
		}
	}
	return nil
}

// What unfinished messages, and whatever else has been read and must wait, may take together
// before those who add to it are closed, and how much each may have in any case, in bytes.
const (
	maxAssembling = 64 << 20
	fairPart      = 4 << 10
)

// account counts the bytes held for an unfinished message, of which there were some before, and
// tells whether there is memory for them.
func (s *session) account(before int) bool {
	held := s.in.Buffered()
	grown := held - before
	total := s.server.assembling.Add(int64(grown))
	return grown <= 0 || held <= fairPart || total <= s.maxAssembling()
}

func (s *session) maxAssembling() int64 {
	return max(maxAssembling, 2*s.server.cfg.Limits.MessageBytes)
}

// greedy closes a connection that made more of the memory its own when all of it was in use.
func (s *session) greedy() error {
	s.event(zerolog.InfoLevel).Int64("seen", s.server.assembling.Load()).Int64("allowed", s.maxAssembling()).
		Msg("closed: what all connections have sent in part or too early takes too much memory, and this one sent more")
	s.close(wsproto.CloseTryAgainLater, errBusy.code, nil)
	return errClosing
}

// resume goes on with what had to wait, if it may now.
func (s *session) resume() {
	if s.unsaid != nil && !s.departed && !s.offer() || len(s.held) == 0 || s.full() || s.closing != nil {
		return
	}
	s.consume(s.release()) // an error shows in closing
}

// say hands a message to the room now, or as soon as the rate and the room allow. paid
// tells that the rate has allowed it. Until it is said it counts like an unfinished one.
func (s *session) say(m *hub.Message, paid bool) {
	s.unsaid, s.paid = m, paid
	s.server.assembling.Add(int64(len(m.Payload)))
	s.offer()
}

func (s *session) offer() bool {
	if !s.paid {
		now := time.Now()
		wait, limit := s.token(now)
		if s.paid = limit == ""; !s.paid {
			if s.server.clock(now) >= s.tokenAt { // one wake-up at a time
				s.server.metrics.throttled.WithLabelValues(limit).Inc()
				wait = max(time.Millisecond, (wait + time.Millisecond - 1).Truncate(time.Millisecond)) // never too early by a rounding
				s.tokenAt = s.server.clock(now) + wait
				s.conn.WakeAfter(wait)
			}
			return false
		}
	}
	size := int64(len(s.unsaid.Payload)) // asked first: it may be the room's from now on
	if !s.member.Say(s.unsaid) {
		return false
	}
	s.unsaid = nil
	s.server.assembling.Add(-size)
	if s.muted {
		s.server.silence(s)
	}
	return true
}

// violation logs what the peer did that the protocol or a limit does not allow.
func (s *session) violation(err error) {
	event := s.event(zerolog.InfoLevel).Err(err).Uint16("code", uint16(wsproto.CloseCodeOf(err)))
	switch wsproto.CloseCodeOf(err) {
	case wsproto.CloseMessageTooBig:
		event = event.Str("setting", "limits.message_bytes").Int64("allowed", s.server.cfg.Limits.MessageBytes)
	case wsproto.ClosePolicyViolation:
		event = event.Str("setting", "limits.message_fragments").Int("allowed", s.server.cfg.Limits.MessageFragments)
	}
	event.Msg("closed: protocol violation")
}

func violationReason(err error) string {
	var violation *wsproto.ProtocolError
	if errors.As(err, &violation) {
		return violation.Detail
	}
	return ""
}
