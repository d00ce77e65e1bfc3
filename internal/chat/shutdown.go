package chat

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Shutdown ends all sessions in such a way that the last message is the same for all members. First the
// sessions stop reading. Then everything that has been sent is said and published. Then every member is told
// when to come back, and the connections close. Shutdown returns ctx's error if some connections had to be
// cut off. It may be called once.
func (ss *Sessions) Shutdown(ctx context.Context) error {
	ss.mu.Lock()
	ss.draining = true
	sessions := slices.Collect(maps.Keys(ss.all))
	ss.unsaid = maps.Clone(ss.all)
	if len(sessions) == 0 {
		close(ss.silent)
	}
	ss.mu.Unlock()
	for _, s := range sessions {
		s.conn.Post(s.stopReading)
	}
	quiet, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	select {
	case <-ss.silent:
	case <-quiet.Done():
	}
	ss.Hub.Flush(quiet)

	spread := max(time.Second, time.Duration(len(sessions))*time.Millisecond)
	for _, s := range sessions {
		s.conn.Post(func() { s.restart(rand.N(spread)) })
	}
	return ss.sockets.Shutdown(ctx)
}

// stopReading ends the reading for good, before the code for the end of the session is decided. Input that is
// not a whole message yet is dropped. A message that waits will be said.
func (s *session) stopReading() {
	if s.ending == nil {
		s.ending = new(ending)
		s.dropInput()
	}
	if s.unsent == nil {
		s.shared.silence(s)
	} else {
		s.offer()
	}
}

// restart closes the connection, and tells a member of doyasa.v1 when to come back.
func (s *session) restart(after time.Duration) {
	if s.ending.decided() {
		return
	}
	s.closeWith(Restart)
	if s.who != nil {
		s.ending.parting = appendJSON(nil, byeFrame{"bye", Restart.Name, after.Milliseconds()})
	}
}

// add registers a new session with Shutdown. If Shutdown has begun already, the session is closed before
// anything is read.
func (ss *Sessions) add(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.all[s] = struct{}{}
	if ss.draining {
		s.ending = new(ending)
		s.conn.Post(func() { s.restart(0) })
	}
}

// remove forgets a session that has ended, and gives its reservation back.
func (ss *Sessions) remove(s *session) {
	ss.forget(s)
	ss.Connections.Release(s.from().Network())
}

// forget takes a session from the list. Shutdown may still have the session in its own list.
func (ss *Sessions) forget(s *session) {
	ss.mu.Lock()
	delete(ss.all, s)
	ss.mu.Unlock()
	ss.silence(s)
}

// silence tells Shutdown that the room has everything that this session's client has sent.
func (ss *Sessions) silence(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if _, waited := ss.unsaid[s]; waited {
		delete(ss.unsaid, s)
		if len(ss.unsaid) == 0 {
			close(ss.silent)
		}
	}
}
