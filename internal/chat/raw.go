package chat

import (
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// raw is the form of the wire without a subprotocol. Every raw member gets every message byte for byte, and
// nothing else is sent.
type raw struct{ session *session } // an interface that holds a pointer needs no further memory

// rawForm returns a message as the frame in which it came, but unmasked and in one fragment.
var rawForm = &hub.Form{
	Message: func(dst []byte, m *hub.Message) []byte {
		op := wsproto.OpText
		if m.Binary {
			op = wsproto.OpBinary
		}
		return appendFrame(dst, op, m.Payload)
	},
}

// receive implements form. Every message is said; binary and empty messages are not kept in the history. If a
// sender exceeds its rate, the session reads from it more slowly, and no message is lost.
func (r raw) receive(ev wsproto.Event) {
	m := &hub.Message{
		From:    r.session.identified(),
		Payload: ev.Payload,
		Binary:  ev.Opcode == wsproto.OpBinary,
	}
	if !ev.Own || cap(ev.Payload)-len(ev.Payload) > len(ev.Payload)/8 { // copy the payload, because the history may keep it for long
		m.Payload = append([]byte(nil), ev.Payload...)
	}
	m.Transient = m.Binary || len(m.Payload) == 0
	if !m.Transient {
		m.ID = newID()
	}
	r.session.say(m, false)
}

// notice implements form. In the raw form the server cannot tell the client what is wrong with one message,
// so the connection ends.
func (r raw) notice(n hub.Notice) {
	s := r.session
	switch n.(type) {
	case hub.Joined:
		s.follow()
		s.goLive()
	case hub.Refused:
		if s.phase == asking {
			s.withdraw(Refused)
		} else {
			s.closeWith(Refused)
		}
	}
}

// fill implements form. A raw member is sent nothing but messages.
func (r raw) fill() {}

// overtaken implements form. The connection ends, because a raw member cannot be told that messages are
// missing.
func (r raw) overtaken() {
	r.session.event(zerolog.InfoLevel).Msg("closed: overtaken; it reads more slowly than the room talks, and the raw form cannot tell it what is missing")
	r.session.withdraw(Overtaken)
}
