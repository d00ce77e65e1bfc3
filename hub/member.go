package hub

import "io"

// A Member is somebody in a room. Say, Rename and Leave may be called from any
// goroutine, one at a time. The cursor and what walks it (Cursor, Seek, Skip, WriteTo)
// belong to the room until it has sent Joined, and to the owner from then on.
type Member struct {
	// Immutable.
	room  *Room
	owner Owner

	// Owned by the hub goroutine.
	person  *person // nil before the join, and if it failed
	awaited int32   // messages said whose outcome is open

	paused bool // guarded by room.inbox.mu: in its list of the paused

	gone    bool  // guarded by log.watchers.mu: nobody is woken for it any more
	watcher Waker // guarded by log.watchers.mu: who is woken when the log grows

	// Written by the hub goroutine before Joined, owned by the owner afterwards; but for
	// cursor.log, which is immutable then.
	cursor Cursor
	people *[]byte // the change of presence last taken
}

// Say hands m to the room and gives it up. False means that the inbox is full: m is
// still the caller's, and the owner is woken when it is worth trying again.
func (m *Member) Say(msg *Message) bool {
	return m.room.inbox.offer(item{do: (*Room).say, origin: origin{member: m}, message: msg})
}

// Rename changes the name under which the member is listed. Messages carry the name
// their sender put into them.
func (m *Member) Rename(name string) {
	m.room.inbox.put(item{do: (*Room).rename, origin: origin{member: m}, who: Author{Name: name}})
}

// Room is the name of the room.
func (m *Member) Room() string { return m.room.name }

// Leave ends the membership, behind everything that was said before. The room answers
// with Left. It must be called exactly once.
func (m *Member) Leave() {
	m.room.inbox.put(item{do: (*Room).leave, origin: origin{member: m}})
}

// Log identifies what the member's cursor walks: all members of a room in one form have the
// same. Valid after Joined.
func (m *Member) Log() *Log { return m.cursor.log }

// Watch has w woken instead of the owner when the log grows, or presence changes: once for all
// members that w watches for. It is for an owner among many whose sockets one goroutine writes
// to, so that the hub wakes that goroutine and not each of them. Once it has returned, what
// was published before is due and what follows wakes w. Valid after Joined, for the owner
// alone; after Left it does nothing.
func (m *Member) Watch(w Waker) { m.cursor.log.watchers.set(m, w) }

// Cursor is the member's place in the log. Valid after Joined, for the owner alone.
func (m *Member) Cursor() *Cursor { return &m.cursor }

// WriteTo writes everything that is due to w, as owner. It returns ErrOvertaken when
// the log has moved past the cursor.
func (m *Member) WriteTo(w io.Writer) (n int64, err error) {
	for {
		due, err := m.cursor.Due()
		if err != nil || len(due) == 0 {
			return n, err
		}
		k, err := w.Write(due)
		n += int64(k)
		m.cursor.Advance(k)
		if err != nil {
			return n, err
		}
	}
}

// Page reads the room's history; see [Journal].
func (m *Member) Page(q PageQuery, done func(Page, error)) {
	m.room.hub.journal.Page(m.room.name, q, done)
}

// TakePeople returns the latest change of presence in the member's form, or nil if
// that has been taken. It is one frame shared by all members, and a later one takes its
// place, so nobody is sent a stale one. Valid after Joined, for the owner alone.
func (m *Member) TakePeople() []byte {
	p := m.cursor.log.people.Load()
	if p == m.people {
		return nil
	}
	m.people = p
	return *p
}
