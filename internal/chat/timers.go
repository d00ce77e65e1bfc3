package chat

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// beatInterval is how long a doyasa.v1 member is sent no frame that its page can see before it is sent a
// beat.
const beatInterval = 25 * time.Second

// ping is a whole Ping frame.
var ping = appendFrame(nil, wsproto.OpPing, nil)

// Tick implements loop.Session.
func (s *session) Tick(now time.Time) error {
	if s.sent {
		s.sent, s.lastSent = false, s.shared.clock(now)
	}
	if s.answered > 0 {
		s.answered = 0
		s.proceed()
	}
	if s.phase.follows() {
		s.shared.lag.set(s, s.member.Cursor().Lag())
		if err := s.checkEvicted(now); err != nil {
			return err
		}
	}
	if s.ending.decided() {
		return s.hurry(now)
	}
	if s.ending == nil { // otherwise nothing is read, so a pong could not be seen
		s.checkAlive(now)
	}
	if s.who != nil && s.shared.clock(now)-s.lastSent >= beatInterval {
		s.lastSent = s.shared.clock(now)
		s.beats = max(s.beats, 1)
		s.conn.Wake()
	}
	return nil
}

// checkAlive pings a client that has sent nothing for a while, and closes a client that does not answer.
func (s *session) checkAlive(now time.Time) {
	if s.heard || s.Paused() { // while the session does not read, it cannot notice what the client sends
		s.heard, s.awaitsPong = false, false
	}
	switch since := s.shared.clock(now) - s.lastPing; {
	case s.awaitsPong && since >= s.shared.Limits.PongTimeout:
		s.event(zerolog.DebugLevel).Msg("no pong")
		s.closeWith(PongTimeout)
	case !s.awaitsPong && since >= s.shared.Limits.PingInterval:
		s.lastPing, s.awaitsPong = s.shared.clock(now), true
		s.queue(ping)
		s.conn.Wake()
	}
}

// checkEvicted finds a member that keeps an evicted chunk of the log in memory because it reads only a byte
// now and then. The loop does not count such a member as slow. After half of limits.slow_timeout the member
// skips to the head at the next record (see skipsNext). If even the current record takes longer than
// limits.slow_timeout, the connection ends.
func (s *session) checkEvicted(now time.Time) error {
	switch {
	case !s.member.Cursor().Evicted():
		s.evictedSince = 0
	case s.evictedSince == 0:
		s.evictedSince = s.shared.clock(now)
	case s.shared.clock(now)-s.evictedSince >= s.shared.Limits.SlowTimeout:
		return loop.ErrSlow
	}
	return nil
}
