package hub

import (
	"context"
	"errors"
	"io"
	"sync"
)

var errNotServed = errors.New("hub: a member that has an Owner is served by it")

// served is the Owner of a member that was made by Join with a nil owner.
type served struct {
	ready chan struct{} // capacity 1: says that there may be something to do; the hub goroutine sends; never closed

	mu     sync.Mutex
	joined bool  // guarded by mu: the notice Joined has come
	failed error // guarded by mu: why the join was refused
	left   bool  // guarded by mu: the notice Left has come
	end    int64 // guarded by mu: the End of that notice
}

func newServed() *served { return &served{ready: make(chan struct{}, 1)} }

// Wake implements Waker.
func (s *served) Wake() {
	select {
	case s.ready <- struct{}{}:
	default: // one signal is enough for several wakes
	}
}

// Notify implements Owner.
func (s *served) Notify(n Notice) {
	s.mu.Lock()
	switch n := n.(type) {
	case Joined:
		s.joined = true
	case Refused:
		if !s.joined {
			s.failed = n.Err
		}
	case Left:
		s.left, s.end = true, n.End
	}
	s.mu.Unlock()
	s.Wake()
}

// Serve writes everything that the room publishes to w until the membership ends. It writes
// each message after the join in order, as the member's form encodes it. Between two messages
// it writes the latest change of presence, if the form shows presence.
//
// Serve is for a member that was made by Join with a nil owner. Only one goroutine may call it
// at a time. Such a member sends messages with [Hub.Publish] and not with Say, because Say
// reports its outcome to the owner, and this member has none.
//
// Serve returns
//
//   - nil after Leave was called, when everything up to the end of the membership is written
//   - the error of ctx when ctx ends
//   - ErrClosed when the hub was closed and everything is written
//   - the error of w
//   - the journal's error if the room could not be opened
//   - ErrOvertaken when w was so slow that the log has dropped messages that were due; to go
//     on at the end of the log, call Cursor.Skip and then Serve again
//
// All members share the bytes given to w.Write, so w must neither change nor keep them. While
// w blocks, no other member waits. Serve does not interrupt a Write, so when ctx ends, close
// the connection as well. Serve does not call Leave.
func (m *Member) Serve(ctx context.Context, w io.Writer) error {
	s, ok := m.owner.(*served)
	if !ok {
		return errNotServed
	}
	for {
		// These are read before the log. If they say that the hub was closed or the member
		// has left, the log already has every message up to there.
		closed := isClosed(m.room.done)
		s.mu.Lock()
		joined, left, end, failed := s.joined, s.left, s.end, s.failed
		s.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case joined:
			more, err := m.writeDue(w, left, end)
			if err != nil {
				return err
			}
			if more && ctx.Err() == nil {
				continue
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case left:
			return nil
		case closed:
			return ErrClosed
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
		case <-m.room.done:
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// writeDue writes the bytes that are due up to the end of a chunk, but nothing after the offset end if the member has left. When no
// bytes are due, it writes the latest change of presence. It tells whether more may be due.
func (m *Member) writeDue(w io.Writer, left bool, end int64) (more bool, err error) {
	due, err := m.cursor.Due()
	if err != nil {
		return false, err
	}
	if left {
		due = due[:min(int64(len(due)), max(0, end-m.cursor.Offset()))]
	}
	if len(due) > 0 {
		n, err := w.Write(due)
		m.cursor.Advance(n)
		return err == nil, err
	}
	if people := m.TakePeople(); people != nil && !left {
		_, err = w.Write(people)
	}
	return false, err
}
