package server

import (
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// maxPending is how many bytes of its own a connection may have waiting before we stop
// reading from it.
const maxPending = 16 << 10

// Why a session ends its connection at once.
var (
	errClosing    = errors.New("closing: nothing more is read")
	errUnfinished = errors.New("the frame in progress could not be finished in time")
)

// A session is one connection in the WebSocket protocol and, unless its query was bad,
// one member of a room. It is moved by a loop, which calls its methods one at a time,
// so it has no lock; what other goroutines have for it comes through its Conn.
//
// What goes out is, in this order and only ever between whole frames: the rest of the
// record in progress, what is pending for this connection alone, what the log has.
type session struct {
	// Immutable.
	server *Server
	conn   loop.Conn
	limits config.Limits
	log    zerolog.Logger
	proto  protocol
	member *hub.Member // nil if the query was refused
	who    *identity   // of doyasa.v1, nil of raw

	// In.
	in     *wsproto.Assembler
	held   []byte       // what has been read and may not be looked at yet
	unsaid *hub.Message // what the room has no space for, or the rate no token
	paid   bool         // unsaid has had its token
	bucket bucket
	muted  bool // nothing more is read: the server is shutting down

	// Out.
	out       []byte // pending: whole frames, the first maybe begun
	later     int    // bytes of what proto keeps until it may be pending
	restSize  int    // of what the last Due returned: the record in progress …
	outSize   int    // … and what of out follows it
	following bool   // the cursor stands where the log is to be written from
	catching  bool   // it is not there yet, but proto will bring it there
	stopAt    int64  // the offset at which proto has something to add
	end       int64  // the offset behind which the room has said that we left
	departed  bool   // we have asked to leave, or nothing has to be left
	left      bool   // the room has answered, or there is none

	// The end; see closing.go.
	closing *closing

	// Timers.
	heard    bool      // since the last tick
	sent     bool      // since the last tick, more than control frames, which pages do not see
	lastSent time.Time // that, as of a tick
	idle     bool      // nothing of the kind has been sent for beatInterval
	lastPing time.Time
	waiting  bool // for the pong, or any other sign of life
}

// A protocol is what a form of the wire makes of a session. Its methods are called
// where the session's are.
type protocol interface {
	// receive takes a whole message. The payload is only lent.
	receive(op wsproto.Opcode, payload []byte)
	// notice takes what the room has for this member alone.
	notice(hub.Notice)
	// fill adds to the session's pending bytes what is due there.
	fill()
	// overtaken decides what becomes of a member whose place is gone from the log.
	overtaken()
	// bye returns the frames that go before the Close of a restart, after which the peer
	// may come back.
	bye(after time.Duration) []byte
}

// open makes the session of a connection and asks the room for a place.
func (s *Server) open(c loop.Conn, q query, subprotocol string) loop.Session {
	ss := &session{
		server: s,
		conn:   c,
		limits: s.cfg.Limits,
		in: wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{
			MessageBytes: s.cfg.Limits.MessageBytes,
			Fragments:    s.cfg.Limits.MessageFragments,
		}),
		stopAt:   math.MaxInt64,
		end:      math.MaxInt64,
		lastPing: time.Now(),
		lastSent: time.Now(),
	}
	nameless := func() string { return q.guest + strconv.FormatInt(s.guests.Add(1), 10) }
	var author hub.Author
	form := rawForm
	if subprotocol == subprotocolV1 {
		form = v1Form
		author, ss.who = s.identities.claim(q.session, q.name, nameless)
		ss.proto = &v1{session: ss, author: author, query: q}
	} else {
		author = hub.Author{ID: uuid.NewString(), Name: q.name}
		if author.Name == "" {
			author.Name = nameless()
		}
		ss.proto = &raw{session: ss, author: author}
	}
	ss.log = s.log.With().Str("remote", q.remote).Str("member", author.ID).Str("room", q.room).Logger()
	if ss.log.GetLevel() <= zerolog.TraceLevel {
		ss.in.OnHeader = func(h wsproto.Header) {
			ss.log.Trace().Bool("fin", h.Fin).Uint8("rsv", h.RSV).Stringer("opcode", h.Opcode).
				Bool("masked", h.Masked).Int64("length", h.PayloadLen).Msg("frame in")
		}
	}
	s.add(ss)
	if q.refusal == "" {
		var err error
		if ss.member, err = s.hub.Join(q.room, form, author, ss); err == nil {
			ss.log.Debug().Str("subprotocol", subprotocol).Msg("joined")
			return ss
		}
		ss.close(wsproto.CloseTryAgainLater, "rooms_full", nil)
		return ss
	}
	ss.close(wsproto.ClosePolicyViolation, q.refusal, nil)
	return ss
}

// Wake implements hub.Owner.
func (s *session) Wake() { s.conn.Wake() }

// Notify implements hub.Owner.
func (s *session) Notify(n hub.Notice) {
	s.conn.Post(func() {
		if left, ok := n.(hub.Left); ok {
			s.left, s.end = true, left.End
			return
		}
		s.proto.notice(n)
	})
}

// Feed implements loop.Feeder.
func (s *session) Feed(b []byte) error {
	s.heard = true
	if s.closing != nil || s.muted {
		return errClosing
	}
	if s.Paused() {
		s.held = append(s.held, b...)
		return nil
	}
	return s.consume(b)
}

// Paused implements loop.Feeder.
func (s *session) Paused() bool {
	return s.unsaid != nil || len(s.held) > 0 || s.full()
}

func (s *session) full() bool { return len(s.out)+s.later > maxPending }

// consume acts on what the peer has sent, until something must wait.
func (s *session) consume(b []byte) error {
	for len(b) > 0 {
		if s.Paused() {
			s.held = append(s.held, b...)
			return nil
		}
		var ev wsproto.Event
		var err error
		if ev, b, err = s.in.Next(b); err != nil {
			s.log.Info().Err(err).Msg("protocol violation")
			s.close(wsproto.CloseCodeOf(err), violationReason(err), nil)
			return err
		}
		switch ev.Opcode {
		case wsproto.OpText, wsproto.OpBinary:
			s.proto.receive(ev.Opcode, ev.Payload)
		case wsproto.OpPing:
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

// resume goes on with what had to wait, if it may now.
func (s *session) resume() {
	if s.unsaid != nil && !s.departed && !s.offer() || len(s.held) == 0 || s.full() || s.closing != nil {
		return
	}
	b := s.held
	s.held = nil
	s.consume(b) // an error shows in closing
}

// say hands a message to the room now, or as soon as the rate and the room allow. paid
// tells that the rate has allowed it.
func (s *session) say(m *hub.Message, paid bool) {
	s.unsaid, s.paid = m, paid
	s.offer()
}

func (s *session) offer() bool {
	if !s.paid {
		if _, s.paid = s.bucket.take(s.limits, time.Now()); !s.paid {
			return false
		}
	}
	if !s.member.Say(s.unsaid) {
		return false
	}
	s.unsaid = nil
	if s.muted {
		s.server.silence(s)
	}
	return true
}

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
	s.restSize, s.outSize = len(rest), len(s.out)
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
	if err != nil {
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
	rest := min(n, s.restSize)
	if rest > 0 {
		s.member.Cursor().Advance(rest)
	}
	out := min(n-rest, s.outSize)
	if s.out = s.out[out:]; len(s.out) == 0 {
		s.out = nil
	}
	if due := n - rest - out; due > 0 {
		s.member.Cursor().Advance(due)
	}
	s.sent = s.sent || n > out
}

// Tick implements loop.Session.
func (s *session) Tick(now time.Time) error {
	if s.sent {
		s.sent, s.lastSent = false, now
	}
	if s.closing != nil {
		s.conn.Wake()
		return s.closing.overdue(now)
	}
	if s.heard || s.Paused() { // who is not read from cannot be heard
		s.heard, s.waiting = false, false
	}
	if s.unsaid != nil {
		s.conn.Wake() // there may be a token
	}
	switch idle := now.Sub(s.lastPing); {
	case s.waiting && idle >= s.limits.PongTimeout:
		s.log.Debug().Msg("no pong")
		s.close(wsproto.CloseGoingAway, "pong_timeout", nil)
	case !s.waiting && idle >= s.limits.PingInterval:
		s.lastPing, s.waiting = now, true
		s.out = appendFrame(s.out, wsproto.OpPing, nil)
		s.conn.Wake()
	}
	if now.Sub(s.lastSent) >= beatInterval {
		s.lastSent, s.idle = now, true
		s.conn.Wake()
	}
	return nil
}

// Closed implements loop.Session.
func (s *session) Closed(err error) {
	event := s.log.Debug()
	if err != nil && !errors.Is(err, io.EOF) {
		event = event.AnErr("cause", err)
	}
	if errors.Is(err, loop.ErrSlow) {
		event = s.log.Info().Dur("slow_timeout", s.limits.SlowTimeout)
	}
	event.Msg("gone")
	s.depart(true)
	if s.who != nil {
		s.server.identities.part(s.who)
	}
	s.server.silence(s)
	s.server.remove(s)
}

// appendFrame appends an unfragmented frame of ours to dst (RFC 6455 §5.2).
func appendFrame(dst []byte, op wsproto.Opcode, payload []byte) []byte {
	return wsproto.AppendFrame(dst, wsproto.Header{Fin: true, Opcode: op}, payload)
}

func violationReason(err error) string {
	var violation *wsproto.ProtocolError
	if errors.As(err, &violation) {
		return violation.Detail
	}
	return ""
}

// mute stops the reading for good. What is not looked at yet is dropped, what has been
// said is said, and then Shutdown is told.
func (s *session) mute() {
	s.muted, s.held, s.paid = true, nil, true
	if s.unsaid == nil {
		s.server.silence(s)
	}
}

// shutdown tells the client when to come back and closes.
func (s *session) shutdown(slot time.Duration) {
	s.close(wsproto.CloseServiceRestart, "restart", s.proto.bye(slot))
}
