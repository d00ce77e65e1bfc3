package chat

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// A phase is how far a session has come. A session passes through the phases in this order and may skip some
// of them. It never goes back.
//
//	phase        begins with                       what Due writes after the pending bytes
//	asking       open: the room is asked           nothing: the member has no cursor yet
//	greeting     Joined, doyasa.v1                 nothing: a page is read to decide on `hello`
//	catchingUp   `hello`                           pages of history, each when the previous one is written
//	handingOver  the log reaches back far enough   the log up to until, then `live`
//	live         `live`; raw: Joined               the log as it grows
//	leaving      close: the room is told           the log as it grows
//	left         Left: the room has answered       the log up to until, then the Close frame
//	withdrawing  withdraw: the room is told        nothing: the session cannot follow the log any more
//	closing      the Close frame is queued         nothing; io.EOF when everything is written
//
// Raw members are never greeting, catchingUp or handingOver. The session of a refused client is closing from
// the start and has no member.
//
// The reason for the end is decided once, in ending, and from then on nothing more is read. A session that is
// closed in a phase from asking to handingOver first becomes live, and then leaving at once.
//
//	call      if ending is nil                 if ending is set
//	Feed      takes the input, or holds it     returns errClosing
//	Paused    true while input waits or too    the same; nothing is read after errClosing
//	          many bytes are pending
//	Tick      sends pings and beats; members   after closeGrace: enters closing and drops what is not
//	          that read too slowly skip        said or written; after twice that time: returns
//	          messages, or are ended           errUnfinished
//	Wrote     advances the pending bytes and the cursor, in every phase
//	proceed   says unsent, then continues      says unsent, then tells the room in leaving and
//	          with held                        withdrawing
//	Closed    leaves the room, in every phase
//
// Notices of the room:
//
//	Joined    in asking: the session enters greeting or live; in later phases the notice is ignored
//	Repeated  from live to left: answered at the place of the message in the order
//	Refused   an error frame is sent (raw: close); in asking and without an id: withdraw, as there is no room
//	Left      in leaving: the session enters left; in withdrawing: closing; in closing it is ignored
//
// Fields that some phases use:
//
//	held      input that waits; empty once ending is set
//	unsent    a message that waits for a token or for space in the room; nil in left and closing
//	charged   a token has been taken for unsent; false if unsent is nil
//	ending    has no code from asking to live while Shutdown waits until everything is said
//	heard, sent, answered, awaitsPong   what has happened since the last ticks, in every phase
type phase uint8

const (
	asking phase = iota
	greeting
	catchingUp
	handingOver
	live
	leaving
	left
	withdrawing
	closing
)

// follows tells whether the session writes the log from the cursor on.
func (p phase) follows() bool { return handingOver <= p && p <= left }

// A session is one connection that speaks WebSocket and, unless it was refused, one member of a room. It is a
// loop.Session: the loop calls its methods one at a time, so it has no lock. Other goroutines reach it
// through its Conn.
//
// Its output has three parts, and one follows another only between whole frames: first the rest of the record
// in progress, then the pending bytes that only this connection gets, then the log.
type session struct {
	// Immutable after open.
	shared *Sessions
	conn   loop.Conn
	form   form
	member *hub.Member // nil if the session was refused, or is closing and never had a cursor
	who    *identity   // the person of a doyasa.v1 member, kept between connections; otherwise nil
	author hub.Author  // see identified; a doyasa.v1 member may change its name
	room   string
	addr   netip.Addr // see from

	// State of the phase; see the table.
	until  int64   // handingOver and left: the offset up to which the log is written
	ending *ending // why the session ends; nil until that is decided

	// Input; see input.go.
	in      *wsproto.Assembler // nil between messages
	held    []byte             // bytes that were read and not handled yet
	unsent  *hub.Message       // a message that waits for space in the room, or for a token
	bucket  limit.Bucket
	tokenAt time.Duration // when a timer calls proceed because there is a token, by Sessions.clock

	// Output; see output.go.
	out      []byte // pending bytes: whole frames, of which the first may be partly written
	restSize int32  // bytes of the current record that the last Due returned and that are not written yet
	outSize  int32  // bytes of out that the last Due returned and that are not written yet

	// Timers, by Sessions.clock; see timers.go.
	lastSent     time.Duration // when the page was last sent a frame that it can see, as of the last tick
	lastPing     time.Duration
	evictedSince time.Duration // when the log evicted the cursor's chunk, as of the last tick; 0 if it has not evicted the chunk
	lag          int64         // how many bytes were due at the last tick, for /metrics

	// Small fields come last. With one more byte a session would fall into the next size class (320 bytes
	// instead of 288).
	reserved   int32  // bytes that the answers in v1.answers will take once they are queued
	port       uint16 // see from
	answered   int16  // pings and beats that were answered since the last tick
	beats      int16  // beats to send
	phase      phase
	charged    bool // a token has been taken for unsent
	heard      bool // something came since the last tick
	sent       bool // a frame that pages see was written since the last tick
	awaitsPong bool // nothing has come since the last ping
	timed      bool // immutable: the deliveries of this session are timed, for /metrics
}

// A form is the part of a session in which the two forms of the wire differ. Its methods are called like
// those of the session, one at a time.
type form interface {
	// receive handles a whole message with OpText or OpBinary.
	receive(wsproto.Event)
	// notice handles what the room tells this member alone: Joined, Repeated and Refused.
	notice(hub.Notice)
	// fill queues the frames that only this member gets, if they are due.
	fill()
	// overtaken decides what happens to a member whose place in the log has been evicted.
	overtaken()
}

// Wake implements hub.Owner. The room may have space for a message that waits.
func (s *session) Wake() { s.conn.Post(s.proceed) }

// Notify implements hub.Owner.
func (s *session) Notify(n hub.Notice) { s.conn.Post(func() { s.notified(n) }) }

func (s *session) notified(n hub.Notice) {
	switch n := n.(type) {
	case hub.Left:
		s.hasLeft(n.End)
	case hub.Joined:
		if s.phase == asking {
			s.form.notice(n)
		}
	default:
		s.form.notice(n)
	}
}

// goLive begins the phase live. A member that was closed while it arrived leaves at once.
func (s *session) goLive() {
	s.phase = live
	if s.ending.decided() {
		s.leave(leaving)
	}
}

// follow registers this session with the log: when the log grows, one wake-up serves all its followers on the
// same lane.
func (s *session) follow() { s.member.Watch(s.conn.Follow(s.member.Log())) }

// identified returns the author with an id. A raw member gets its id with its first message or its first line
// in the log, because most raw members never need one.
func (s *session) identified() hub.Author {
	if s.author.ID == "" && s.member != nil {
		s.author.ID = uuid.NewString()
	}
	return s.author
}

// from is the peer of the connection.
func (s *session) from() limit.Peer { return limit.Peer{Addr: s.addr, Port: s.port} }

// event begins a log line about this connection. It returns nil if the line is not to be written. All methods
// of a nil Event do nothing, so the caller need not check.
func (s *session) event(level zerolog.Level) *zerolog.Event {
	return s.about(s.shared.Log.About(s.from().Network(), level))
}

// about adds the fields that identify the connection to a log line.
func (s *session) about(e *zerolog.Event) *zerolog.Event {
	if e == nil {
		return nil
	}
	return e.Stringer("remote", s.from()).Str("member", s.identified().ID).Str("room", s.room)
}
