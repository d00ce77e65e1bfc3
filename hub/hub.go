// Package hub puts what people say in a room into one order and hands it out as bytes.
// The one idea: a room is a log, a client is a cursor.
//
// A [Hub] has rooms. Each has a goroutine of its own, the hub goroutine, which takes the
// messages from the room's inbox and gives them to the [Journal] for their place in the
// order. It appends each message that comes back, encoded as the bytes that go on the
// wire, to an append-only [Log]. There is no queue per member: a [Cursor] walks the log,
// and the goroutine that owns the member's socket writes log[cursor:head] to it, the same
// bytes for everybody. The cursor of a slow member lags, and the other members do not
// notice. When the log has dropped the records after a cursor, the cursor reports that.
//
// To use it: [Hub.Join] a room with a [Form], which encodes messages, and let
// [Member.Serve] write to the connection; [Hub.Publish] what the connection says;
// [Member.Leave] at the end. The example does so with two connections.
//
// # For event loops
//
// Serve takes one goroutine per member. A program that serves many sockets with few
// goroutines gives Join an [Owner] instead, which is told what happens, and writes the bytes
// itself: [Cursor.Due] and [Cursor.Advance] walk the log, [Cursor.Rest] returns the rest of a
// record that must be written before other bytes, [Cursor.Seek] and [Cursor.Skip] move the
// cursor to another place in the log, [Member.TakePeople] returns the changes of presence,
// [Member.Say] puts a message into the inbox without waiting. With [Member.Watch] and
// [Member.Log] one [Waker] is woken for all members that a goroutine serves.
// [Member.Latency], [Cursor.Lag] and [Cursor.Evicted] are for the figures of such a program.
//
// # For journals
//
// A [Journal] of your own may build on [State], [Retention] and [PageQuery.Select], as
// [Memory] does. The package hub/journaltest tests that it keeps the contract.
//
// # Reading the code
//
// The flow of one message, in the order of the files:
//
//	member.go     Say puts the message into the room's inbox, unless the inbox is full
//	inbox.go      is bounded in bytes; the hub goroutine takes all items at once
//	room.go       the hub goroutine: answers retries, hands the rest to the journal
//	journal.go    the contract of a journal; memory.go is the one in memory
//	state.go      the state of a room in a journal, and the choice of a page
//	retention.go  drops the messages that are over a limit
//	publish.go    appends the messages that came back to the log of each form
//	log.go        chunks of wire bytes with an index of record ends
//	watch.go      wakes the watchers of a log that has grown
//	cursor.go     the bytes that are due to one member
//	serve.go      writes them
//
// rooms.go begins and ends rooms and their goroutines. join.go adds and removes members.
// presence.go keeps the people that are shown as present, and recent.go the ids by which a
// retry is recognised.
//
// This package must not know HTTP, WebSocket, JSON, sockets or a logger: it is given
// encoders and hands out bytes. It imports the standard library only.
package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Errors for which a caller may check with errors.Is.
var (
	// ErrRoomsFull means that Options.MaxRooms rooms exist and each of them is in use.
	ErrRoomsFull = errors.New("hub: no more rooms")
	// ErrBusy means that the room's inbox is full. The caller may try the same message again
	// later.
	ErrBusy = errors.New("hub: the room is busy")
	// ErrClosed means that the hub has been closed.
	ErrClosed = errors.New("hub: closed")
)

// Options configure a Hub. The zero value is usable: it does not limit the number of rooms,
// and keeps all messages in memory.
type Options struct {
	// Journal orders and keeps the messages. Nil: NewMemory(MemoryOptions{}).
	Journal Journal
	// DefaultRoom is never retired.
	DefaultRoom string
	// MaxRooms bounds the rooms that exist at once, including empty rooms with a history.
	// One of the places is reserved for the default room. When all places are taken, a new
	// room takes the place of the room that has been empty longest, if there is an empty
	// one. The journal then closes the empty room, and a journal in memory forgets its
	// history. 0: no limit.
	MaxRooms int
	// LogBytes bounds the wire bytes that the log of a room keeps for one form; 0: 4 MiB.
	LogBytes int
	// TotalLogBytes bounds the bytes of all logs together. While they hold more, a log that
	// grows keeps only its newest chunk; 0: 256 MiB.
	TotalLogBytes int
	// InboxBytes bounds the bytes of a room's messages that have been said and are not
	// published yet; 0: 4 MiB.
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

	logBytes   atomic.Int64 // wire bytes held by all logs
	counters   counters
	recents    recents
	goroutines sync.WaitGroup // of all rooms

	mu      sync.Mutex
	rooms   map[string]*room         // guarded by mu
	retired map[string]chan struct{} // guarded by mu: by name, room.retired of each room that was taken out and that the journal has not closed yet
	closed  bool                     // guarded by mu
}

// probeRoom is the name of the hidden room that Hub.Ping uses. The name of a public room has
// no NUL, so it never equals this one.
const probeRoom = "\x00probe"

// New returns a Hub without rooms. The first Join or Publish makes a room. The goroutine of a
// room ends a minute after the last use, and the next use starts it again. The history of
// the room stays until a limit of the journal removes it. Close ends the goroutines.
func New(o Options) *Hub {
	if o.Journal == nil {
		o.Journal = NewMemory(MemoryOptions{})
	}
	o.LogBytes = positive(o.LogBytes, 4<<20)
	o.TotalLogBytes = positive(o.TotalLogBytes, 256<<20)
	o.InboxBytes = positive(o.InboxBytes, 4<<20)
	o.ChunkBytes = positive(o.ChunkBytes, 256<<10)
	return &Hub{
		opts:    o,
		journal: o.Journal,
		began:   time.Now(),
		recents: recents{limit: RecentTotal},
		rooms:   make(map[string]*room),
		retired: make(map[string]chan struct{}),
	}
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Join asks for a place in a room. The room answers the owner with [Joined]. Until then the
// member has no cursor. If it sends messages before that, they wait in the inbox behind the
// join. Pass a nil owner if you call [Member.Serve] for the member. The error is ErrRoomsFull
// or ErrClosed. If the error is nil, the caller must call Leave when the member goes.
func (h *Hub) Join(name string, form *Form, author Author, owner Owner) (*Member, error) {
	r, err := h.acquire(name)
	if err != nil {
		return nil, err
	}
	if owner == nil {
		owner = newServed()
	}
	m := &Member{room: r, owner: owner}
	r.inbox.put(item{do: (*room).join, origin: origin{member: m}, author: author, form: form})
	return m, nil
}

// Publish sends m to a room without a membership, and waits until m is stored or ctx ends. It
// returns m as stored. If the id of m was stored before, m has the Seq, Prev and At of the
// first message. The errors are those of ctx and the journal, ErrRoomsFull, ErrBusy and
// ErrClosed.
func (h *Hub) Publish(ctx context.Context, name string, m *Message) (*Message, error) {
	r, err := h.acquire(name)
	if err != nil {
		return nil, err
	}
	type result struct {
		m   *Message
		err error
	}
	answer := make(chan result, 1) // carries the outcome; the hub goroutine sends once; never closed
	reply := func(m *Message, err error) {
		h.release(r) // here and not when ctx ends, because a room with a message in flight is in use
		answer <- result{m, err}
	}
	if !r.inbox.offer(item{do: (*room).say, origin: origin{reply: reply}, message: m}) {
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
	select { // the room's goroutine may have answered before it ended
	case a := <-answer:
		return a.m, a.err
	default:
		return nil, ErrClosed
	}
}

// Flush waits until every message that has been sent so far is published in all rooms, or
// until ctx ends.
func (h *Hub) Flush(ctx context.Context) error {
	rooms := h.acquireRunning()
	flushed := make([]chan struct{}, len(rooms)) // one channel for each room; the room's hub goroutine closes it
	for i, r := range rooms {
		defer h.release(r)
		flushed[i] = make(chan struct{})
		done := func(*Message, error) { close(flushed[i]) }
		r.inbox.put(item{do: (*room).flush, origin: origin{reply: done}})
	}
	for i, r := range rooms {
		select {
		case <-flushed[i]:
		case <-r.done: // the hub was closed, and Close has published everything
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Ping sends a message through the inbox, the goroutine and the journal of a hidden room and
// waits until it comes back. Nothing is stored. An error shows that the hub no longer moves
// messages.
func (h *Hub) Ping(ctx context.Context) error {
	_, err := h.Publish(ctx, probeRoom, &Message{Transient: true})
	return err
}

// Page reads a room's history; see [Journal]. done may be called before Page returns.
func (h *Hub) Page(name string, q PageQuery, done func(Page, error)) {
	h.journal.Page(name, q, done)
}

// Close publishes every message that has been sent, ends all rooms and waits until their
// goroutines have ended. Then [Member.Serve] returns ErrClosed. Owners get no notice of this,
// so end their connections before you call Close.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, r := range h.rooms {
		close(r.stop)
	}
	h.rooms = nil
	h.mu.Unlock()
	h.goroutines.Wait()
}
