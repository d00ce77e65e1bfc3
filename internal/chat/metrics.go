package chat

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// Counters has functions that are called when something happens that is at most as frequent as connections
// are. The hub and the loop count what happens for each message or delivery. The functions may be called from
// any goroutine.
type Counters struct {
	Opened    func(time.Duration) // a handshake has become a session; the duration is the time since the handshake was read
	Delivered func(time.Duration) // a socket has taken a message; the duration is the time since the room took it; called for a sample of the sessions
	Refused   func(code string)   // a session was refused right after its handshake
	Failed    func(code string)   // an error frame was sent
	Throttled func(limit string)  // a limit made a client wait or try again
	Overtaken func()              // a member lost its place in the log
	Panicked  func()              // a bug has ended a session
	Closed    func(code string)   // a session has ended, with this close code
}

// Stats are the current figures.
type Stats struct {
	Sockets  loop.Stats
	Lagging  int64 // members that had bytes to be written at their last tick
	LagBytes int64 // how many bytes these were in total
}

// Stats returns the current figures.
func (ss *Sessions) Stats() Stats {
	return Stats{ss.sockets.Stats(), ss.lag.members.Load(), ss.lag.bytes.Load()}
}

// closeLabel returns the close code that was sent, as a label for the counter. Codes that clients may choose
// share one label, so that the number of labels stays small.
func (s *session) closeLabel() string {
	switch {
	case s.phase != closing:
		return "1006" // the server sent no Close frame (RFC 6455 §7.1.5)
	case s.ending.code >= 3000: // the client chose one of 2,000 codes
		return "3000 and above"
	case s.ending.code == wsproto.CloseNoStatusReceived:
		return "none"
	}
	return strconv.Itoa(int(s.ending.code))
}

// lag adds up how many bytes each member had still to be written at its last tick.
type lag struct{ members, bytes atomic.Int64 }

// set changes how much one session contributes to the sum.
func (l *lag) set(s *session, bytes int64) {
	if bytes == s.lag {
		return
	}
	l.bytes.Add(bytes - s.lag)
	switch {
	case s.lag == 0:
		l.members.Add(1)
	case bytes == 0:
		l.members.Add(-1)
	}
	s.lag = bytes
}

// A sample chooses the sessions whose deliveries are timed.
type sample struct{ sessions, timed atomic.Int64 }

// choose tells whether a new session is in the sample. At least eight sessions are chosen if there are so
// many, and about one in 64 when there are more.
func (m *sample) choose() bool {
	all := m.sessions.Add(1)
	if n := m.timed.Load(); n >= 8 && n*64 >= all {
		return false
	}
	m.timed.Add(1)
	return true
}

// end is called when a session has ended. timed tells whether choose had chosen it.
func (m *sample) end(timed bool) {
	m.sessions.Add(-1)
	if timed {
		m.timed.Add(-1)
	}
}
