package hub

import (
	"io"
	"sync/atomic"
)

// A Member is one connection in a room. Any goroutine may call Say, Rename and Leave, but
// only one at a time may call Say or Rename. The cursor belongs to the room until the room
// has sent [Joined], and then to the owner, or to Serve. So the methods that use the cursor
// (WriteTo, Cursor, Watch, Log, TakePeople, Latency) may be called only after Joined. Serve
// waits for Joined by itself.
type Member struct {
	// Immutable.
	room  *room
	owner Owner

	// Owned by the hub goroutine.
	person  *person // nil before the join, and after a join that failed
	awaited int32   // how many messages of the member have no outcome yet

	leaving atomic.Bool // Leave was called

	paused bool // guarded by room.inbox.mu: the member is in room.inbox.paused

	gone    bool  // guarded by log.watchers.mu: the member has left, and gets no watcher any more
	watcher Waker // guarded by log.watchers.mu: is woken when the log grows

	// The hub goroutine writes these before Joined. After Joined they belong to the owner, and
	// cursor.log is immutable.
	cursor Cursor
	people *[]byte // the change of presence that TakePeople returned last
}

// Say hands msg to the room, which owns it from then on, and does not wait. If the message is
// refused or repeated, the owner gets a notice. Say returns false if the inbox is full. Then
// msg still belongs to the caller, and the owner is woken when there is space again. After
// Leave it returns false as well, and does not wake the owner later.
func (m *Member) Say(msg *Message) bool {
	return !m.leaving.Load() && m.room.inbox.offer(item{do: (*room).say, origin: origin{member: m}, message: msg})
}

// Rename changes the name under which the member is listed. Messages carry the name that
// their sender put into them.
func (m *Member) Rename(name string) {
	if !m.leaving.Load() {
		m.room.inbox.put(item{do: (*room).rename, origin: origin{member: m}, author: Author{Name: name}})
	}
}

// Room is the name of the room.
func (m *Member) Room() string { return m.room.name }

// Leave ends the membership after all messages that the member has sent before. The room
// answers the owner with [Left]. A second call does nothing, and a call after [Hub.Close] does
// nothing either.
func (m *Member) Leave() {
	if !m.leaving.Swap(true) {
		m.room.inbox.put(item{do: (*room).leave, origin: origin{member: m}})
	}
}

// Page reads the room's history; see [Journal].
func (m *Member) Page(q PageQuery, done func(Page, error)) {
	m.room.hub.journal.Page(m.room.name, q, done)
}

// Log returns the log that the member's cursor reads. All members of a room with the same
// form have the same log. Valid after Joined.
func (m *Member) Log() *Log { return m.cursor.log }

// Watch makes the room wake w instead of the owner when the log grows or presence changes. A
// w that watches for several members of the log is woken only once for all of them, so a
// goroutine that writes to many sockets need not be woken for each. When Watch has returned,
// everything that was published before is due, and later changes wake w. Valid after Joined.
// After Left it does nothing.
func (m *Member) Watch(w Waker) { m.cursor.log.watchers.set(m, w) }

// Cursor is the member's place in the log. Valid after Joined.
func (m *Member) Cursor() *Cursor { return &m.cursor }

// WriteTo writes all messages that are due to w, and does not wait for more. It returns
// ErrOvertaken when the log has dropped messages that were due. Valid after Joined.
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

// TakePeople returns the latest change of presence in the member's form, or nil if the member
// has taken that already. All members share the bytes. A later change replaces this one, so
// a slow member gets only the latest. Valid after Joined.
func (m *Member) TakePeople() []byte {
	p := m.cursor.log.people.Load()
	if p == m.people {
		return nil
	}
	m.people = p
	return *p
}
