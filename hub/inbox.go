package hub

import (
	"sync"
	"time"
)

// An item is one task for the hub goroutine.
type item struct {
	do func(*room, item) // (*room).join, say, rename, leave or flush
	origin
	message *Message // set for say
	author  Author   // set for join; for rename only the Name is set
	form    *Form    // set for join
}

// origin says where an item came from, and where its outcome goes. Either member or reply
// is set.
type origin struct {
	member *Member               // nil for Publish and Flush
	reply  func(*Message, error) // Publish or Flush waits for this call
	since  time.Duration         // when the room received the message, by Hub.clock
}

// await adds n to the number of the member's messages that have no outcome yet. A member
// that leaves stays until this number is 0.
func (o origin) await(n int) {
	if o.member != nil {
		o.member.awaited += int32(n)
	}
}

// repeated answers a retry with the place of the message that was stored.
func (o origin) repeated(m *Message, was Stored) {
	m.Seq, m.Prev, m.At = was.Seq, was.Prev, was.At
	if o.reply != nil {
		o.reply(m, nil)
		return
	}
	o.member.owner.Notify(Repeated{Message: m})
}

func (o origin) refused(m *Message, err error) {
	if o.reply != nil {
		o.reply(nil, err)
		return
	}
	o.member.owner.Notify(Refused{ID: m.ID, Err: err})
}

// An inbox carries items to the hub goroutine. The bytes of its messages are bounded. A
// message counts from offer until done, that is, until it has come back from the journal. An
// inbox without messages takes a message of any size. Items without a message are not bounded.
type inbox struct {
	limit int           // immutable: bytes
	ready chan struct{} // capacity 1: says that the hub goroutine has something to do; anyone sends; never closed

	mu     sync.Mutex
	items  []item    // guarded by mu
	bytes  int       // guarded by mu: the size of all messages that were offered and are not done
	paused []*Member // guarded by mu: each member whose offer was refused, and whose owner must be woken
	spare  []item    // guarded by mu: the slice that the take before the last one returned, for reuse
}

// put adds an item that must not be refused.
func (in *inbox) put(it item) {
	in.mu.Lock()
	in.items = append(in.items, it)
	in.mu.Unlock()
	in.signal()
}

// offer adds a message and returns true if there is space. Otherwise it returns false, and
// the owner of the member is woken when there is space again.
func (in *inbox) offer(it item) bool {
	size := it.message.Size()
	in.mu.Lock()
	if in.bytes > 0 && in.bytes+size > in.limit {
		if m := it.member; m != nil && !m.paused {
			m.paused = true
			in.paused = append(in.paused, m)
		}
		in.mu.Unlock()
		return false
	}
	in.bytes += size
	in.items = append(in.items, it)
	in.mu.Unlock()
	in.signal()
	return true
}

func (in *inbox) signal() {
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// take returns everything put so far. The slice is valid until the next take.
func (in *inbox) take() []item {
	in.mu.Lock()
	defer in.mu.Unlock()
	items := in.items
	in.items = in.spare[:0]
	in.spare = items
	return items
}

// rest tells whether the inbox is empty. If it is, rest also releases its slices, which may
// have grown large.
func (in *inbox) rest() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.items) > 0 {
		return false
	}
	in.items, in.spare = nil, nil
	return true
}

// done no longer counts these bytes, because their messages have been published or refused.
// It wakes the owners of the members that wait for space.
func (in *inbox) done(bytes int) {
	if bytes == 0 {
		return
	}
	in.mu.Lock()
	in.bytes -= bytes
	paused := in.paused
	in.paused = nil
	for _, m := range paused {
		m.paused = false
	}
	in.mu.Unlock()
	for _, m := range paused {
		m.owner.Wake()
	}
}
