package server

import "github.com/doyasa/doyasa/wsproto"

// The way out: what a session has to write, in which order.

// Due implements loop.Source.
func (s *session) Due(bufs [][]byte) ([][]byte, error) {
	s.resume()
	rest := s.rest()
	s.proto.fill()
	var due []byte
	if len(rest) == 0 && s.following {
		due = s.due()
	}
	if s.closing != nil {
		if err := s.finish(); err != nil {
			return bufs, err
		}
		if s.closing.sent {
			due = nil
		}
	}
	s.restSize, s.outSize = int32(len(rest)), int32(len(s.out)) // a message has at most 1 GiB
	for _, b := range [][]byte{rest, s.out, due} {
		if len(b) > 0 {
			bufs = append(bufs, b)
		}
	}
	return bufs, nil
}

// rest is what the record in progress still needs.
func (s *session) rest() []byte {
	if !s.following {
		return nil
	}
	return s.member.Cursor().Rest()
}

// due is what the log has, up to where something else comes first. Called between
// records.
func (s *session) due() []byte {
	cursor := s.member.Cursor()
	due, err := cursor.Due()
	if err != nil || s.jump {
		s.jump = false
		s.server.metrics.overtaken.Inc()
		s.proto.overtaken()
		if !s.following {
			return nil
		}
		due, _ = cursor.Due() // at the head: what is overtaken again will wait for the next call
	}
	return due[:min(int64(len(due)), max(0, min(s.stopAt, s.end)-cursor.Offset()))]
}

// Wrote implements loop.Source.
func (s *session) Wrote(n int) {
	rest := min(n, int(s.restSize))
	out := min(n-rest, int(s.outSize))
	s.restSize, s.outSize = s.restSize-int32(rest), s.outSize-int32(out) // over TLS what Due returned is written in pieces
	if s.out = s.out[out:]; len(s.out) == 0 {
		s.out = nil
	}
	if ofLog := n - out; ofLog > 0 {
		s.member.Cursor().Advance(ofLog)
		if s.timed {
			s.noteDelivery()
		}
	}
	s.sent = s.sent || n > out
}

// appendFrame appends an unfragmented frame of ours to dst (RFC 6455 §5.2).
func appendFrame(dst []byte, op wsproto.Opcode, payload []byte) []byte {
	return wsproto.AppendFrame(dst, wsproto.Header{Fin: true, Opcode: op}, payload)
}
