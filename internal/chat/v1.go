package chat

import (
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// A client that keeps making errors although it is told about them is closed.
const (
	errorWindow    = 10 * time.Second
	maxErrors      = 10  // errors in a window
	maxRateLimited = 100 // rate_limited errors in a window. More are allowed than of other errors, because a client that sends too fast makes no mistake in what it sends
)

// v1 is the subprotocol doyasa.v1. Its frames are JSON, and messages have positions, so that a client can
// check that it has missed none. catchup.go has what a member is sent before it is live, and frames.go has
// the frames.
type v1 struct {
	session *session
	arrival *arrival // nil once the member is live, to save memory: most members are idle then

	answers []*hub.Message // answers to retries, each kept until the member has been sent all earlier messages

	errorsSince         time.Duration // when the current window of errors began, by Sessions.clock
	errors, rateLimited int16
}

// send queues a frame. Frames that are sent before `hello` is queued are kept until then.
func (v *v1) send(frame any) {
	if p := v.session.phase; p == asking || p == greeting {
		v.arrival.afterHello = appendJSON(v.arrival.afterHello, frame)
		return
	}
	v.queue(appendJSON(nil, frame))
}

func (v *v1) queue(frames []byte) {
	v.session.queue(frames)
	v.session.sent = true
}

// receive implements form.
func (v *v1) receive(ev wsproto.Event) {
	if ev.Opcode == wsproto.OpBinary {
		v.session.closeWith(Binary)
		return
	}
	f, wrong := parseFields(ev.Payload)
	if wrong != nil {
		v.fail(wrong, "", 0)
		return
	}
	typ, there, ok := f.text("type")
	if !there || !ok {
		v.fail(BadType, "", 0)
		return
	}
	if handle := handlers[typ]; handle != nil {
		handle(v, f)
	} else {
		v.fail(UnknownType, "", 0)
	}
}

// say handles a `say`.
func (v *v1) say(f fields) {
	s := v.session
	id, text, wrong := f.parseSay(s.shared.Limits.TextBytes)
	given := ""
	if id != (hub.ID{}) {
		given = uuid.UUID(id).String()
	}
	if wrong != nil {
		v.fail(wrong, given, 0)
		return
	}
	if !v.charge(given) {
		return
	}
	m := &hub.Message{ID: id, Idempotent: given != "", From: s.author, Payload: []byte(text)}
	if !m.Idempotent {
		m.ID = newID()
	}
	s.say(m, true)
}

// rename handles a `name`.
func (v *v1) rename(f fields) {
	name, there, ok := f.text("name")
	if there && ok {
		name, ok = CleanName(name)
	}
	if !there || !ok {
		v.fail(BadName, "", 0)
		return
	}
	if !v.charge("") {
		return
	}
	s := v.session
	s.author.Name = name
	s.shared.identities.rename(s.who, name)
	s.member.Rename(name)
}

// askBeat handles a `beat`: the client asks whether the connection lives.
func (v *v1) askBeat(fields) {
	v.session.beats++
	v.session.answered++
	v.session.conn.Wake()
}

// charge takes a token. If there is none, it tells the client how long to wait.
func (v *v1) charge(id string) bool {
	wait, setting := v.session.token(time.Now())
	if setting != "" {
		v.session.shared.Counters.Throttled(setting)
		v.fail(RateLimited, id, wait)
	}
	return setting == ""
}

// fail tells the client what is wrong, and closes a client that goes on making errors.
func (v *v1) fail(wrong *Code, id string, wait time.Duration) {
	s := v.session
	now := s.shared.clock(time.Now())
	if now-v.errorsSince > errorWindow {
		v.errorsSince, v.errors, v.rateLimited = now, 0, 0
	}
	s.shared.Counters.Failed(wrong.Name)
	if wrong == RateLimited {
		v.rateLimited++
	} else {
		v.errors++
	}
	v.send(newErrorFrame(wrong, id, wait))
	if v.errors >= maxErrors || v.rateLimited > maxRateLimited {
		s.event(zerolog.InfoLevel).Str("last", wrong.Name).Int16("errors", v.errors).Int16("rate_limited", v.rateLimited).Stringer("within", errorWindow).
			Msg("closed: the client does not react to errors")
		s.closeWith(TooManyErrors)
	}
	s.conn.Wake()
}

// notice implements form.
func (v *v1) notice(n hub.Notice) {
	s := v.session
	switch n := n.(type) {
	case hub.Joined:
		s.phase = greeting
		v.join(n)
	case hub.Repeated:
		v.answers = append(v.answers, n.Message)
		s.reserved += answerBytes(n.Message)
	case hub.Refused:
		if n.ID == (hub.ID{}) {
			s.withdraw(Internal)
			return
		}
		wrong := Unstored(n.Err)
		if wrong == Internal { // the journal logs all other errors, and each only once
			s.event(zerolog.ErrorLevel).Err(n.Err).Msg("not stored")
		}
		v.send(newErrorFrame(wrong, uuid.UUID(n.ID).String(), 0))
	}
}

// fill implements form. It queues the frames that only this member gets, each at its place in the order of
// the messages.
func (v *v1) fill() {
	s := v.session
	if s.phase == catchingUp {
		v.catchUp()
	}
	if s.phase == handingOver && s.member.Cursor().Offset() >= s.until {
		v.arrival = nil
		v.send(liveFrame{"live", s.member.Cursor().Seq()})
		s.goLive()
	}
	if s.phase < live || s.phase > left {
		return
	}
	if people := s.member.TakePeople(); people != nil {
		v.queue(people)
	}
	v.answer()
	for ; s.beats > 0; s.beats-- {
		v.queue(s.shared.beat(s.member.Cursor().Seq()))
	}
}

// answer answers the retries of messages that the client has been sent by now. An earlier answer would look
// to the client like a message after a hole.
func (v *v1) answer() {
	if len(v.answers) == 0 {
		return
	}
	reached := v.session.member.Cursor().Seq()
	early := v.answers[:0]
	for _, m := range v.answers {
		if m.Seq > reached {
			early = append(early, m)
			continue
		}
		v.session.reserved -= answerBytes(m)
		v.send(NewMessageFrame(m))
	}
	clear(v.answers[len(early):])
	v.answers = early
}

// answerBytes is about how many bytes the answer to a retry will take.
func answerBytes(m *hub.Message) int32 { return int32(len(m.Payload)) + 256 }

// overtaken implements form. It announces the hole and continues at the head.
func (v *v1) overtaken() {
	from, to := v.session.member.Cursor().Skip()
	if from <= to {
		v.send(gapFrame{"gap", from, to})
	}
}
