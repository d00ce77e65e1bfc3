package hub

import "errors"

// A Journal decides the order of a room's messages and keeps them. It is asynchronous:
// a message handed over comes back as an Entry, among those of other processes that
// use the same journal, and a room publishes only what has come back.
//
// Open, Append and Close of one room are called from one goroutine at a time; Page from any.
type Journal interface {
	// Open makes a room ready and returns where its order stands. From then on deliver
	// is called with every entry behind that point, in order, one call at a time, without
	// any lock held that Append or Page take. deliver does not block, and Open does not
	// wait for a disk or a network: the hub goroutine calls it.
	Open(room string, deliver func(Entry)) (Opened, error)
	// Append hands over m for its place in the order and does not wait. m comes back as
	// an Entry with the same pointer, Seq and Prev set; deliver may be called before
	// Append returns. A transient message keeps its place among the others but gets no
	// Seq and is not kept.
	Append(room string, m *Message)
	// Page reads messages that are still kept and hands them to done, once, maybe before it
	// returns. It may be ahead of what the room has published.
	Page(room string, q PageQuery, done func(Page, error))
	// Close ends a room. A journal in memory forgets it; a durable one keeps all of it for
	// the next Open.
	Close(room string)
}

// A Position is where a room's order stands.
type Position struct {
	Head  uint64 // the newest Seq, 0 if there never was one
	Epoch string // changes when Seq starts over; never empty
}

// Opened is a room as a journal hands it over.
type Opened struct {
	Position
	// Recent has the idempotent messages whose retries must still be recognised, oldest
	// first, whether they are kept or not: see RecentAge and RecentIDs.
	Recent []Stored
}

// ErrUnavailable: the journal cannot store anything at present, what it has can be read.
// An Entry's Err may wrap it.
var ErrUnavailable = errors.New("hub: the journal takes no messages")

// An Entry is a message in its place, or the refusal of one that this process appended.
type Entry struct {
	Message *Message
	Err     error
	// Repeated: another process has stored a message of this ID before, and Message has
	// its Seq, Prev and At. It is not published again; its sender is answered.
	Repeated bool
}

// A PageQuery selects messages with After < Seq < Before: the oldest of them, or with
// Newest the newest, as far as the limits go.
type PageQuery struct {
	After  uint64
	Before uint64 // 0: no upper end
	Limit  int    // messages, at least 1
	Bytes  int    // stop at this many bytes of payload, but not before one message; 0: no such limit
	Newest bool
}

// A Page is a run of messages, oldest first, and the range that was kept when it was read.
type Page struct {
	Position
	Messages []*Message
	First    uint64 // Seq of the oldest message kept, 0 if none is
	// Floor is the Prev of the oldest message kept, or Head if none is: whoever has
	// everything up to Floor can be given all that followed.
	Floor uint64
}
