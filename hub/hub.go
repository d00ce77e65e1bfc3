// Package hub puts what people say in a room into one order and hands it out as
// bytes. The one idea: a room is a log, a client is a cursor.
//
// A room's hub goroutine takes messages from its [Room]'s inbox, gives them to the
// [Journal] for their place in the order, and appends what comes back, already
// encoded as the bytes that go on the wire, to an append-only [Log]. There is no queue
// per member: a [Cursor] walks the log, and whoever owns the member's socket writes
// log[cursor:head] to it, the same bytes for everybody. A slow member's cursor lags
// and nobody else notices; when the log has moved past it, the cursor says so.
//
// The flow of one message, in the order of the files:
//
//	member.go    Say puts it into the room's inbox, or says that the inbox is full
//	inbox.go     bounded in bytes; the hub goroutine takes all of it at once
//	room.go      the hub goroutine: retries answered, the rest handed to the journal
//	journal.go   what a journal must do; memory.go is the one in memory
//	room.go      what came back is published: one record in the log of each form
//	log.go       chunks of wire bytes with an index of record ends
//	watch.go     who is woken when a log has grown
//	cursor.go    what is due to one member
//
// Who comes and goes is in join.go, who is shown as present in presence.go, and how
// retries are recognised in recent.go.
//
// This package must not know HTTP, WebSocket, JSON, sockets or a logger: it is given
// encoders (see [Form]) and hands out bytes. It imports the standard library only.
package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Errors a caller branches on.
var (
	// ErrRoomsFull: there are Options.MaxRooms rooms and each has somebody in it.
	ErrRoomsFull = errors.New("hub: no more rooms")
	// ErrBusy: the room's inbox is full; the same message may be offered again.
	ErrBusy = errors.New("hub: the room is busy")
	// ErrClosed: the hub has been closed.
	ErrClosed = errors.New("hub: closed")
)

// Options configure a Hub. The zero value is usable: no limit on rooms, and a log window of 4 MiB a form.
type Options struct {
	// Journal orders and keeps the messages. Nil: NewMemory(MemoryOptions{}).
	Journal Journal
	// DefaultRoom is never retired.
	DefaultRoom string
	// MaxRooms bounds the rooms that exist at once, with one place kept for the default
	// room; at the bound the longest-empty one is retired, and its history with it if the
	// journal is one that forgets (see Journal.Close). 0: no limit.
	MaxRooms int
	// LogBytes bounds the wire bytes a log keeps per room and form; 0: 4 MiB.
	LogBytes int
	// TotalLogBytes bounds all logs together: above it each log keeps only its newest chunk; 0: 256 MiB.
	TotalLogBytes int
	// InboxBytes bounds what has been said in a room and is not yet published; 0: 4 MiB.
	InboxBytes int
	// ChunkBytes is the size of a log's largest shared chunk; 0: 256 KiB.
	ChunkBytes int
}

// A Hub holds the rooms. Its methods may be called from any goroutine.
type Hub struct {
	// Immutable.
	opts    Options
	journal Journal
	began   time.Time

	logBytes atomic.Int64 // wire bytes held by all logs
	counters counters

	mu     sync.Mutex
	rooms  map[string]*Room // guarded by mu
	closed bool             // guarded by mu
}

// probeRoom is the hidden room of Hub.Ping; no public room has a name with a NUL.
const probeRoom = "\x00probe"

// New returns a Hub without rooms; a room and its goroutine start when somebody first
// joins it or publishes to it. Close ends them.
func New(o Options) *Hub {
	if o.Journal == nil {
		o.Journal = NewMemory(MemoryOptions{})
	}
	o.LogBytes = positive(o.LogBytes, 4<<20)
	o.TotalLogBytes = positive(o.TotalLogBytes, 256<<20)
	o.InboxBytes = positive(o.InboxBytes, 4<<20)
	o.ChunkBytes = positive(o.ChunkBytes, 256<<10)
	return &Hub{opts: o, journal: o.Journal, began: time.Now(), rooms: make(map[string]*Room)}
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Join asks for a place in a room. The room answers through owner with [Joined]; until
// then the member has no cursor, and what it says waits behind its join. The error is
// ErrRoomsFull or ErrClosed.
func (h *Hub) Join(room string, form *Form, who Author, owner Owner) (*Member, error) {
	r, err := h.acquire(room)
	if err != nil {
		return nil, err
	}
	m := &Member{room: r, owner: owner}
	r.inbox.put(item{do: (*Room).join, origin: origin{member: m}, who: who, form: form})
	return m, nil
}

// Publish says m in a room without being a member and waits until it is stored or ctx
// ends. It returns m as stored; for a repeated id, with Seq, Prev and At of the first one.
// Besides ctx's, the errors are ErrRoomsFull, ErrBusy, ErrClosed and the journal's.
func (h *Hub) Publish(ctx context.Context, room string, m *Message) (*Message, error) {
	r, err := h.acquire(room)
	if err != nil {
		return nil, err
	}
	type result struct {
		m   *Message
		err error
	}
	answer := make(chan result, 1) // the outcome; the hub goroutine sends once, never closed
	reply := func(m *Message, err error) {
		answer <- result{m, err}
		h.release(r) // not when ctx ends: a room with a message in flight is not idle
	}
	if !r.inbox.offer(item{do: (*Room).say, origin: origin{reply: reply}, message: m}) {
		h.release(r)
		return nil, ErrBusy
	}
	select {
	case a := <-answer:
		return a.m, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.done:
	}
	select { // run ends after its last answers
	case a := <-answer:
		return a.m, a.err
	default:
		return nil, ErrClosed
	}
}

// Flush waits until everything that has been said so far is published, in all rooms, or
// until ctx ends.
func (h *Hub) Flush(ctx context.Context) error {
	h.mu.Lock()
	rooms := slices.Collect(maps.Values(h.rooms))
	for _, r := range rooms {
		r.refs++
	}
	h.mu.Unlock()
	flushed := make([]chan struct{}, len(rooms)) // one for each room; its hub goroutine closes it
	for i, r := range rooms {
		defer h.release(r)
		flushed[i] = make(chan struct{})
		done := func(*Message, error) { close(flushed[i]) }
		r.inbox.put(item{do: (*Room).flush, origin: origin{reply: done}})
	}
	for i, r := range rooms {
		select {
		case <-flushed[i]:
		case <-r.done: // by Close, which flushes as well
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Ping makes a round trip through the inbox, goroutine and journal of a hidden room.
// Nothing is stored. It tells a hub that works from one that only looks alive.
func (h *Hub) Ping(ctx context.Context) error {
	_, err := h.Publish(ctx, probeRoom, &Message{Transient: true})
	return err
}

// Page reads a room's history; see [Journal]. done may be called before Page returns.
// A room that does not exist has the zero Page.
func (h *Hub) Page(room string, q PageQuery, done func(Page, error)) {
	h.journal.Page(room, q, done)
}

// acquire finds or makes a room and keeps it from being retired until release.
func (h *Hub) acquire(name string) (*Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	r := h.rooms[name]
	if r == nil {
		if !h.makeSpace(name) {
			return nil, ErrRoomsFull
		}
		r = newRoom(h, name)
		h.rooms[name] = r
		go r.run()
	}
	r.refs++
	return r, nil
}

// release undoes acquire.
func (h *Hub) release(r *Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.refs--; r.refs == 0 {
		r.emptySince = time.Now()
	}
}

// makeSpace retires the longest-empty room when the hub is full. It tells whether a
// room called name may be made. Called with h.mu held.
func (h *Hub) makeSpace(name string) bool {
	exempt := func(n string) bool { return n == h.opts.DefaultRoom || n == probeRoom }
	if h.opts.MaxRooms == 0 || exempt(name) {
		return true
	}
	count, oldest := 0, (*Room)(nil)
	if h.opts.DefaultRoom != "" {
		count = 1 // its place is kept
	}
	for n, r := range h.rooms {
		if exempt(n) {
			continue
		}
		count++
		if r.refs == 0 && (oldest == nil || r.emptySince.Before(oldest.emptySince)) {
			oldest = r
		}
	}
	if count < h.opts.MaxRooms {
		return true
	}
	if oldest == nil {
		return false
	}
	delete(h.rooms, oldest.name)
	close(oldest.stop)
	<-oldest.done // idle by its reference count, so this is immediate
	h.journal.Close(oldest.name)
	return true
}

// Close ends all rooms after what has been said in them is published, and waits for
// their goroutines. Members get no further notice; end their connections first.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	rooms := h.rooms
	h.rooms = nil
	h.mu.Unlock()
	for _, r := range rooms {
		close(r.stop)
	}
	for _, r := range rooms {
		<-r.done
	}
}
