package server

import (
	"errors"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
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
	proto  protocol
	member *hub.Member // nil if the query was refused
	author hub.Author  // see identified; doyasa.v1 may change the name
	room   string
	addr   netip.Addr // see from

	// In.
	in      *wsproto.Assembler // nil between messages
	held    []byte             // what has been read and may not be looked at yet
	unsaid  *hub.Message       // what the room has no space for, or the rate no token
	bucket  bucket
	tokenAt time.Duration // by Server.clock, when the sender has been promised to be woken for a token

	// Out.
	out      []byte // pending: whole frames, the first maybe begun
	restSize int32  // of what the last Due returned and is not written: the record in progress …
	outSize  int32  // … and what of out follows it
	stopAt   int64  // the offset at which proto has something to add
	end      int64  // the offset behind which the room has said that we left

	closing *closing // the end; see closing.go

	// Timers.
	lastSent time.Duration // by Server.clock, as of a tick
	lastPing time.Duration // by Server.clock
	lag      int64         // bytes that were due, as of a tick, for /metrics
	pinned   time.Duration // by Server.clock, since when the log has let go of where the cursor stands; 0: it has not

	// What is small, all in one place: the session has 288 bytes, and with one more it would have 320.
	port      uint16 // see from
	pings     int16  // answered since the last tick
	paid      bool   // unsaid has had its token
	muted     bool   // nothing more is read: the server is shutting down
	following bool   // the cursor stands where the log is to be written from
	catching  bool   // it is not there yet, but proto will bring it there
	departed  bool   // we have asked to leave, or nothing has to be left
	left      bool   // the room has answered, or there is none
	heard     bool   // since the last tick
	sent      bool   // since the last tick, more than control frames, which pages do not see
	idle      bool   // nothing of the kind has been sent for beatInterval
	waiting   bool   // for the pong, or any other sign of life
	timed     bool   // deliveries are timed, for /metrics
	jump      bool   // pinned for so long that it goes on elsewhere once the record in progress is written
}

// A protocol is what a form of the wire makes of a session. Its methods are called
// where the session's are.
type protocol interface {
	// receive takes a whole message, of OpText or OpBinary.
	receive(wsproto.Event)
	// notice takes what the room has for this member alone.
	notice(hub.Notice)
	// fill adds to the session's pending bytes what is due there.
	fill()
	// later is how many bytes it keeps until they may be pending.
	later() int
	// overtaken decides what becomes of a member whose place is gone from the log.
	overtaken()
	// bye returns the frames that go before the Close of a restart, after which the peer
	// may come back.
	bye(after time.Duration) []byte
	// gone: the connection has ended.
	gone()
}

// open makes the session of a connection and asks the room for a place.
func (s *Server) open(c loop.Conn, q *query, subprotocol string) *session {
	ss := &session{
		server:   s,
		conn:     c,
		room:     q.room,
		addr:     q.from.addr,
		port:     q.from.port,
		stopAt:   math.MaxInt64,
		end:      math.MaxInt64,
		lastPing: s.clock(time.Now()),
		lastSent: s.clock(time.Now()),
		timed:    s.metrics.chooses(),
	}
	code := wsproto.ClosePolicyViolation
	setting, allowed := "", 0
	if q.refusal == "" {
		if _, ok := s.mayMakeRoom(q.room, q.from.network(), time.Now()); !ok {
			code, q.refusal = wsproto.CloseTryAgainLater, errRateLimited.code
			setting, allowed = "limits.rooms_per_minute_per_ip", s.cfg.Limits.RoomsPerMinutePerIP
			s.metrics.throttled.WithLabelValues("rooms_per_minute_per_ip").Inc()
		}
	}
	form := rawForm
	ss.proto = raw{ss}
	nameless := func() string { return q.guest + strconv.FormatInt(s.guests.Add(1), 10) }
	if subprotocol == subprotocolV1 {
		form = v1Form
		v := &v1{session: ss, arrival: &arrival{query: q}}
		ss.proto = v
		if q.refusal == "" {
			v.who = s.identities.claim(q.session, q.name, nameless)
			ss.author = v.who.who
		}
	} else if ss.author.Name = q.name; q.name == "" && q.refusal == "" {
		ss.author.Name = nameless()
	}
	s.add(ss)
	if q.refusal != "" {
		ss.refuse(code, q.refusal, setting, shown(q.seen), allowed)
		return ss
	}
	var err error
	if ss.member, err = s.hub.Join(q.room, form, ss.author, ss); err != nil {
		ss.refuse(wsproto.CloseTryAgainLater, "rooms_full", "rooms.max", err.Error(), s.cfg.Rooms.Max)
		return ss
	}
	ss.room = ss.member.Room() // the same, but not as a part of the request, which is gone with it
	ss.event(zerolog.DebugLevel).Str("subprotocol", subprotocol).Msg("joined")
	return ss
}

// identified is the author with an ID. One of the raw form, who is always somebody new, gets
// it only with the first message or line of the log: most never need one.
func (s *session) identified() hub.Author {
	if s.author.ID == "" && s.member != nil {
		s.author.ID = uuid.NewString()
	}
	return s.author
}

// from is where the connection comes from.
func (s *session) from() requester { return requester{s.addr, s.port} }

// follow makes the log wake this session together with all others that its lane has there.
func (s *session) follow() { s.member.Watch(s.conn.Follow(s.member.Log())) }

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

// lend makes whole frames pending that nobody changes. It copies them only behind others: a
// connection without any allocates nothing, and what is added later moves them.
func (s *session) lend(frames []byte) {
	if s.out == nil {
		s.out = frames[:len(frames):len(frames)]
		return
	}
	s.out = append(s.out, frames...)
}

// ping is a whole frame.
var ping = appendFrame(nil, wsproto.OpPing, nil)

// Tick implements loop.Session.
func (s *session) Tick(now time.Time) error {
	if s.sent {
		s.sent, s.lastSent = false, s.server.clock(now)
	}
	if s.pings > 0 {
		s.pings = 0
		s.conn.Wake() // for a flood that had to wait
	}
	if s.following {
		s.noteLag(s.member.Cursor().Lag())
		if err := s.unpin(now); err != nil {
			return err
		}
	}
	if s.closing != nil {
		s.conn.Wake()
		return s.closing.overdue(now)
	}
	if s.heard || s.Paused() { // who is not read from cannot be heard
		s.heard, s.waiting = false, false
	}
	switch idle := s.server.clock(now) - s.lastPing; {
	case s.waiting && idle >= s.server.cfg.Limits.PongTimeout:
		s.event(zerolog.DebugLevel).Msg("no pong")
		s.close(wsproto.CloseGoingAway, "pong_timeout", nil)
	case !s.waiting && idle >= s.server.cfg.Limits.PingInterval:
		s.lastPing, s.waiting = s.server.clock(now), true
		s.lend(ping)
		s.conn.Wake()
	}
	if s.server.clock(now)-s.lastSent >= beatInterval {
		s.lastSent, s.idle = s.server.clock(now), true
		s.conn.Wake()
	}
	return nil
}

// unpin keeps a member that reads a byte now and then, and so is never slow by the loop's
// measure, from holding on to what the log has let go of: after half the time that a slow
// one gets, it goes on at the next record as one that is overtaken; if even the record in
// progress takes longer than the whole, the connection ends.
func (s *session) unpin(now time.Time) error {
	if !s.member.Cursor().Evicted() {
		s.pinned, s.jump = 0, false
		return nil
	}
	if s.pinned == 0 {
		s.pinned = s.server.clock(now)
	}
	held := s.server.clock(now) - s.pinned
	if held >= s.server.cfg.Limits.SlowTimeout {
		return loop.ErrSlow
	}
	s.jump = held >= s.server.cfg.Limits.SlowTimeout/2
	return nil
}

// Panicked implements loop.Session. The Close frame goes behind what is pending, and so
// between frames.
func (s *session) Panicked(v any, stack []byte) []byte {
	s.server.metrics.panics.Inc()
	s.line(zerolog.ErrorLevel).Any("panic", v).Bytes("stack", stack).Msg("a bug in doyasa: this connection is closed, the server goes on; please report it with the stack")
	s.closing = &closing{since: time.Now(), code: wsproto.CloseInternalError, sent: true}
	last := slices.Concat(s.rest(), s.out)
	return appendFrame(last, wsproto.OpClose, wsproto.AppendClosePayload(nil, wsproto.CloseInternalError, errInternal.code))
}

// Closed implements loop.Session.
func (s *session) Closed(err error) {
	if errors.Is(err, loop.ErrSlow) {
		s.event(zerolog.InfoLevel).Str("setting", "limits.slow_timeout").Stringer("allowed", s.server.cfg.Limits.SlowTimeout).
			Msg("closed: it reads too slowly, or no more")
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = nil
	}
	s.event(zerolog.DebugLevel).AnErr("cause", err).Msg("gone")
	s.noteLag(0)
	s.server.metrics.ended(s.timed)
	s.server.metrics.closed(s.closing)
	s.depart(true)
	s.proto.gone()
	s.server.assembling.Add(-int64(s.delayed()))
	s.abandon()
	s.server.remove(s)
	s.server.silence(s) // last: Shutdown may have listed it a moment ago
}
