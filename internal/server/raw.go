package server

import (
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// raw is the form without a subprotocol: every message goes to every raw member byte
// for byte, and nothing else goes to anybody.
type raw struct{ session *session } // a pointer, so that it costs no memory of its own

// rawForm shows a message as the frame it came in, unmasked and in one fragment.
var rawForm = &hub.Form{
	Message: func(dst []byte, m *hub.Message) []byte {
		op := wsproto.OpText
		if m.Binary {
			op = wsproto.OpBinary
		}
		return appendFrame(dst, op, m.Payload)
	},
}

// receive says every message; what is not text, and the empty text, is not history. A
// sender over its rate is read more slowly and loses nothing.
func (r raw) receive(ev wsproto.Event) {
	m := &hub.Message{
		From:    r.session.identified(),
		Payload: ev.Payload,
		Binary:  ev.Opcode == wsproto.OpBinary,
	}
	if !ev.Own || cap(ev.Payload)-len(ev.Payload) > len(ev.Payload)/8 { // it may be kept for long
		m.Payload = append([]byte(nil), ev.Payload...)
	}
	m.Transient = m.Binary || len(m.Payload) == 0
	if !m.Transient {
		m.ID = hub.ID(uuid.Must(uuid.NewV7()))
	}
	r.session.say(m, false)
}

// notice: a raw member has no word for what goes wrong with one message, so the
// connection ends.
func (r raw) notice(n hub.Notice) {
	switch n.(type) {
	case hub.Joined:
		r.session.follow()
		r.session.following = true
	case hub.Refused:
		r.session.close(wsproto.CloseInternalError, "refused", nil)
	}
}

// fill: nothing is pending that the session does not know.
func (r raw) fill() {}

// later: it keeps nothing.
func (r raw) later() int { return 0 }

// gone: nobody will ask for it again.
func (r raw) gone() {}

// overtaken: never a silent hole.
func (r raw) overtaken() {
	r.session.event(zerolog.InfoLevel).Msg("closed: overtaken; it reads more slowly than the room talks, and the raw form has no word for a gap")
	r.session.following = false
	r.session.close(wsproto.CloseTryAgainLater, "overtaken", nil)
}

// bye: nothing but messages is ever sent.
func (r raw) bye(time.Duration) []byte { return nil }
