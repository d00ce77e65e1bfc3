package server

import (
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

const (
	beatInterval = 25 * time.Second
	// A client that keeps sending what it is told is wrong is not worth talking to.
	errorWindow    = 10 * time.Second
	maxErrors      = 10  // in a window
	maxRateLimited = 100 // in a window: impatience is not an error
)

// v1 is the subprotocol doyasa.v1: JSON, with positions, so that a client can prove that
// it has missed nothing. What it is owed on joining is in catchup.go.
type v1 struct {
	session  *session
	who      *identity // nil if the query was refused
	*arrival           // nil once `live` has been sent: most are idle from then on

	answers []*hub.Message // to retries, until the client has got as far by itself
	waiting int            // bytes they will take, about

	errorsSince         time.Duration // by Server.clock
	errors, rateLimited int16
}

// An arrival is what a member has asked for on joining, and how much of it it has had.
type arrival struct {
	query   *query
	joined  hub.Joined
	greeted bool           // `hello` has been sent
	behind  []byte         // frames that were due before it
	reading bool           // a page has been asked for
	owed    []*hub.Message // what it had, not yet encoded
	seq     uint64         // the last position encoded, or where to begin
	placed  bool           // the client has a position, behind which a hole must be announced
}

// send makes a frame pending, behind `hello`.
func (v *v1) send(frame any) {
	if v.arrival != nil && !v.greeted {
		v.behind = appendJSON(v.behind, frame)
		return
	}
	v.pend(appendJSON(nil, frame))
}

// pend makes whole frames pending, which nobody changes any more. Nothing goes behind a Close
// frame (RFC 6455 §5.5.1).
func (v *v1) pend(frames []byte) {
	s := v.session
	if s.closing != nil && s.closing.sent {
		return
	}
	s.lend(frames)
	s.sent = true
}

// receive acts on one message of the client.
func (v *v1) receive(ev wsproto.Event) {
	if ev.Opcode == wsproto.OpBinary {
		v.session.close(wsproto.CloseUnsupportedData, "binary", nil)
		return
	}
	f, wrong := parseFields(ev.Payload)
	if wrong != nil {
		v.fail(wrong, "", 0)
		return
	}
	switch typ, there, ok := f.text("type"); {
	case !there || !ok:
		v.fail(errBadType, "", 0)
	case typ == "say":
		v.say(f)
	case typ == "name":
		v.rename(f)
	default:
		v.fail(errUnknownType, "", 0)
	}
}

func (v *v1) say(f fields) {
	id, text, wrong := f.parseSay(v.session.server.cfg.Limits.TextBytes)
	given := ""
	if id != (hub.ID{}) {
		given = uuid.UUID(id).String()
	}
	if wrong != nil {
		v.fail(wrong, given, 0)
		return
	}
	if !v.spend(given) {
		return
	}
	m := &hub.Message{ID: id, Idempotent: given != "", From: v.session.author, Payload: []byte(text)}
	if !m.Idempotent {
		m.ID = hub.ID(uuid.Must(uuid.NewV7()))
	}
	v.session.say(m, true)
}

func (v *v1) rename(f fields) {
	name, there, ok := f.text("name")
	if there && ok {
		name, ok = cleanName(name)
	}
	if !there || !ok {
		v.fail(errBadName, "", 0)
		return
	}
	if !v.spend("") {
		return
	}
	v.session.author.Name = name
	v.session.server.identities.rename(v.who, name)
	v.session.member.Rename(name)
}

// spend takes a token, or tells the client when there is one.
func (v *v1) spend(id string) bool {
	wait, limit := v.session.token(time.Now())
	if limit != "" {
		v.session.server.metrics.throttled.WithLabelValues(limit).Inc()
		v.fail(errRateLimited, id, wait)
	}
	return limit == ""
}

// fail tells the client what was wrong, and ends the connection of one that does not
// listen.
func (v *v1) fail(wrong *clientError, id string, wait time.Duration) {
	now := v.session.server.clock(time.Now())
	if now-v.errorsSince > errorWindow {
		v.errorsSince, v.errors, v.rateLimited = now, 0, 0
	}
	v.session.server.metrics.errors.WithLabelValues(wrong.code).Inc()
	if wrong == errRateLimited {
		v.rateLimited++
	} else {
		v.errors++
	}
	v.send(errorFrame{"error", wrong.code, id, wrong.text, int64(math.Ceil(wait.Seconds() * 1000))})
	if v.errors >= maxErrors || v.rateLimited > maxRateLimited {
		v.session.event(zerolog.InfoLevel).Str("last", wrong.code).Int16("errors", v.errors).Int16("rate_limited", v.rateLimited).Stringer("within", errorWindow).
			Msg("closed: it does not listen to errors")
		v.session.close(wsproto.ClosePolicyViolation, "too_many_errors", nil)
	}
	v.session.conn.Wake()
}

// notice takes what the room has for this member alone.
func (v *v1) notice(n hub.Notice) {
	switch n := n.(type) {
	case hub.Joined:
		v.join(n)
	case hub.Repeated:
		v.answers = append(v.answers, n.Message)
		v.waiting += answerSize(n.Message)
	case hub.Refused:
		if n.ID == (hub.ID{}) {
			v.session.close(wsproto.CloseTryAgainLater, errInternal.code, nil)
			return
		}
		wrong := refusal(n.Err)
		if wrong == errInternal { // the others are told by whom they concern, once
			v.session.event(zerolog.ErrorLevel).Err(n.Err).Msg("not stored")
		}
		v.send(errorFrame{Type: "error", Code: wrong.code, ID: uuid.UUID(n.ID).String(), Text: wrong.text})
	}
}

// fill adds what is due to this member alone, at the place in the order where it belongs.
func (v *v1) fill() {
	s := v.session
	if s.closing != nil && s.closing.sent {
		return
	}
	if s.catching {
		v.catchUp()
	}
	if !s.following {
		return
	}
	if v.arrival != nil {
		if s.member.Cursor().Offset() < s.stopAt {
			return
		}
		v.arrival, s.stopAt = nil, math.MaxInt64
		v.send(liveFrame{"live", s.member.Cursor().Seq()})
	}
	if people := s.member.TakePeople(); people != nil {
		v.pend(people)
	}
	v.answer()
	if s.idle {
		s.idle = false
		v.pend(s.server.beat(s.member.Cursor().Seq()))
	}
}

// answer answers retries of messages that the client has been sent by now. Before
// that an answer would look like a message with a hole in front of it.
func (v *v1) answer() {
	if len(v.answers) == 0 {
		return
	}
	reached := v.session.member.Cursor().Seq()
	waiting := v.answers[:0]
	for _, m := range v.answers {
		if m.Seq > reached {
			waiting = append(waiting, m)
			continue
		}
		v.waiting -= answerSize(m)
		v.send(newMessageFrame(m))
	}
	clear(v.answers[len(waiting):])
	v.answers = waiting
}

// later is what the answers will take.
func (v *v1) later() int { return v.waiting }

// gone starts the time for which the identity is kept.
func (v *v1) gone() {
	if v.who != nil {
		v.session.server.identities.part(v.who)
	}
}

// overtaken announces the hole and goes on at the head.
func (v *v1) overtaken() {
	from, to := v.session.member.Cursor().Skip()
	if from <= to {
		v.send(gapFrame{"gap", from, to})
	}
}

// bye tells when to come back, so that not everybody does at once.
func (v *v1) bye(after time.Duration) []byte {
	return appendJSON(nil, byeFrame{"bye", "restart", after.Milliseconds()})
}

// answerSize is about what the answer to a retry takes while it waits, in bytes.
func answerSize(m *hub.Message) int { return len(m.Payload) + 256 }
