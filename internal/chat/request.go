package chat

import (
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/internal/loop"
)

// V1 is the subprotocol with JSON frames. A client that does not ask for it gets the raw form.
const V1 = "doyasa.v1"

// MaxPage is the most messages of history that one page has, or that a newcomer gets.
const MaxPage = 200

// A Request is what a client asks for in its opening handshake.
type Request struct {
	From     limit.Peer
	Began    time.Time // when the handshake was read
	Response []byte    // the answer 101, which is sent first
	V1       bool      // the client speaks V1

	Room    string
	Name    string // the name that the client chose, or ""
	Guest   string // the beginning of the name that a client gets if it chose none
	Resume  bool   // the client asks to resume after After
	After   uint64
	Epoch   string
	Session string
	History int

	Refusal *Code  // why the request is refused after the 101, or nil
	Seen    string // the value that was wrong, as the client sent it
}

// open makes the session of a connection and asks the room for a place.
//
// It asks before the 101 can be written. So a client that has received the 101 gets everything that is said
// from then on. The raw form needs this, because it has no greeting that could mark the moment.
func (ss *Sessions) open(c loop.Conn, r *Request) *session {
	now := ss.clock(time.Now())
	s := &session{
		shared:   ss,
		conn:     c,
		room:     r.Room,
		addr:     r.From.Addr,
		port:     r.From.Port,
		out:      r.Response,
		lastPing: now,
		lastSent: now,
		timed:    ss.sample.choose(),
	}
	form := rawForm
	s.form = raw{s}
	if r.V1 {
		form = v1Form
		s.form = &v1{session: s, arrival: &arrival{request: r}}
	}
	ss.add(s)
	asked := false
	defer func() {
		if !asked { // a panic: the caller of Serve closes the connection, and nobody will end the session
			ss.forget(s)
		}
	}()
	s.ask(form, r)
	asked = true
	c.Wake()
	ss.Counters.Opened(time.Since(r.Began))
	return s
}

// ask asks the room for a place. If there is none for the request, the session is refused.
func (s *session) ask(form *hub.Form, r *Request) {
	ss := s.shared
	if r.Refusal != nil {
		s.refuse(r.Refusal, "", limit.Shown(r.Seen), 0)
		return
	}
	if _, ok := ss.MayMakeRoom(r.Room, r.From.Network(), time.Now()); !ok {
		ss.Counters.Throttled("rooms_per_minute_per_ip")
		s.refuse(RateLimited, "limits.rooms_per_minute_per_ip", "", ss.Limits.RoomsPerMinutePerIP)
		return
	}
	s.identify(r)
	member, err := ss.Hub.Join(r.Room, form, s.author, s)
	if err != nil {
		s.refuse(RoomsFull, "rooms.max", err.Error(), ss.Rooms.Max)
		return
	}
	s.member = member
	s.room = member.Room() // an equal string that does not keep the request in memory
	s.event(zerolog.DebugLevel).Bool("v1", r.V1).Msg("joined")
}

// identify sets the author as whom the member joins. A raw member is a new person each time and has no id
// yet; see session.identified.
func (s *session) identify(r *Request) {
	guest := func() string { return r.Guest + strconv.FormatInt(s.shared.guests.Add(1), 10) }
	switch {
	case r.V1:
		s.who = s.shared.identities.claim(r.Session, r.Name, guest)
		s.author = s.who.who
	case r.Name != "":
		s.author.Name = r.Name
	default:
		s.author.Name = guest()
	}
}

// refuse closes a session that cannot become or stay a member, and logs the reason: the setting that was
// reached, the value that was seen and the value that is allowed.
func (s *session) refuse(why *Code, setting, seen string, allowed int) {
	s.shared.Counters.Refused(why.Name)
	event := s.event(zerolog.InfoLevel).Uint16("code", uint16(why.Close[0])).Str("reason", why.Name).Str("seen", seen)
	if setting != "" {
		event = event.Str("setting", setting).Int("allowed", allowed)
	}
	event.Msg("refused: closed right after the handshake")
	s.withdraw(why)
}

// newID returns an id for a message whose sender has not given one.
func newID() [16]byte { return uuid.Must(uuid.NewV7()) }
