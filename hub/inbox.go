package hub

import (
	"sync"
	"time"
)

// An item is one thing for the hub goroutine to do.
type item struct {
	do func(*Room, item) // (*Room).join, say, rename, leave or flush
	origin
	message *Message // say
	who     Author   // join; of rename the Name
	form    *Form    // join
}

// origin is who put an item there. One of member and reply is set.
type origin struct {
	member *Member               // nil for Publish and Flush
	reply  func(*Message, error) // Publish or Flush waits for it
	since  time.Duration         // by Hub.clock, when the room took the message up
}

// await counts what keeps a member from leaving.
func (o origin) await(n int) {
	if o.member != nil {
		o.member.awaited += int32(n)
	}
}

// repeated answers a retry as the message was stored the first time.
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

// An inbox carries items to the hub goroutine. Messages are bounded in bytes and count
// from offer until done, that is, until they have come back from the journal; one
// message always fits. Joins and leaves always fit.
type inbox struct {
	limit int           // immutable: bytes
	ready chan struct{} // capacity 1: something was put; anyone sends, never closed

	mu     sync.Mutex
	items  []item    // guarded by mu
	bytes  int       // guarded by mu: messages offered and not done
	paused []*Member // guarded by mu: those whose offer was refused, once each, to be woken
	spare  []item    // guarded by mu: the slice taken before last, for reuse
}

// put adds an item that must not be refused.
func (in *inbox) put(it item) {
	in.mu.Lock()
	in.items = append(in.items, it)
	in.mu.Unlock()
	in.signal()
}

// offer adds a message, or tells that there is no space. If refused, a member's owner is
// woken once there is.
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

// done frees the bytes of messages that have been published or refused, and wakes
// those who were waiting for them.
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
