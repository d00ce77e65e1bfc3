package chat

import (
	"io"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// Output: what a session writes, and in which order.

// Due implements loop.Source.
func (s *session) Due(bufs [][]byte) ([][]byte, error) {
	rest := s.rest()
	s.form.fill()
	var due []byte
	if len(rest) == 0 && s.phase.follows() {
		due = s.due()
	}
	if s.phase == left && s.member.Cursor().Offset() >= s.until {
		s.finish()
	}
	if s.phase == closing {
		if len(s.out) == 0 {
			return bufs, io.EOF
		}
		due = nil
	}
	s.restSize, s.outSize = int32(len(rest)), int32(len(s.out)) // a record fits: JSON makes at most six bytes of each of the 64 MiB of a message
	for _, b := range [][]byte{rest, s.out, due} {
		if len(b) > 0 {
			bufs = append(bufs, b)
		}
	}
	return bufs, nil
}

// rest returns the unwritten part of the record in progress.
func (s *session) rest() []byte {
	if s.member == nil || s.phase == asking {
		return nil
	}
	return s.member.Cursor().Rest()
}

// due returns the part of the log that may be written now. It ends where other bytes must come first. It is
// called only between records.
func (s *session) due() []byte {
	cursor := s.member.Cursor()
	due, err := cursor.Due()
	if err != nil || s.skipsNext() {
		s.evictedSince = 0
		s.shared.Counters.Overtaken()
		s.form.overtaken()
		if !s.phase.follows() {
			return nil
		}
		due, _ = cursor.Due() // from the end of the log; if the member is overtaken again, the next call handles that
	}
	if s.phase == handingOver || s.phase == left {
		return due[:min(int64(len(due)), max(0, s.until-cursor.Offset()))]
	}
	return due
}

// Wrote implements loop.Source.
func (s *session) Wrote(n int) {
	rest := min(n, int(s.restSize))
	out := min(n-rest, int(s.outSize))
	s.restSize, s.outSize = s.restSize-int32(rest), s.outSize-int32(out) // over TLS, several calls of Wrote report what one Due returned
	if s.out = s.out[out:]; len(s.out) == 0 {
		s.out = nil
	}
	if ofLog := n - out; ofLog > 0 {
		s.member.Cursor().Advance(ofLog)
		if s.timed && s.phase != handingOver { // messages that were said before the member joined are not timed
			if took, ok := s.member.Latency(); ok {
				s.shared.Counters.Delivered(took)
			}
		}
	}
	s.sent = s.sent || n > out
	if len(s.held) > 0 && s.unsent == nil && !s.full() {
		s.conn.Post(s.proceed)
	}
}

// queue makes whole frames pending. Nobody may change them afterwards. If nothing is pending, queue keeps the
// slice itself; a later append copies it, because the slice has no capacity left. Nothing is queued after a
// Close frame (RFC 6455 §5.5.1) or once the session withdraws.
func (s *session) queue(frames []byte) {
	switch {
	case s.phase >= withdrawing:
	case s.out == nil:
		s.out = frames[:len(frames):len(frames)]
	default:
		s.out = append(s.out, frames...)
	}
}

// skipsNext tells whether a member has kept an evicted chunk of the log in memory for too long. Such a member
// skips to the head after the current record.
func (s *session) skipsNext() bool {
	return s.evictedSince != 0 && s.member.Cursor().Evicted() &&
		s.shared.clock(time.Now())-s.evictedSince >= s.shared.Limits.SlowTimeout/2
}

// appendFrame appends an unfragmented frame to dst (RFC 6455 §5.2).
func appendFrame(dst []byte, op wsproto.Opcode, payload []byte) []byte {
	return wsproto.AppendFrame(dst, wsproto.Header{Fin: true, Opcode: op}, payload)
}
