package hub

import "errors"

// A Journal decides the order of a room's messages and keeps them. It is asynchronous: the
// hub hands a message over, and the message comes back as an Entry. Messages of other
// processes that use the same journal come as entries, too. A room publishes only messages
// that have come back. The package hub/journaltest tests whether a Journal keeps this
// contract.
//
// For one room, only one goroutine at a time calls Open, Append and Close. For different
// rooms, several goroutines may call them at once. Any goroutine may call Page.
type Journal interface {
	// Open makes a room ready and returns its position. From then on the journal calls
	// deliver with every entry after that position, in order and one call at a time. During
	// the call the journal must not hold a lock that Append or Page take. deliver does not
	// block. Open must not wait for a disk or a network either, because the hub goroutine
	// calls it.
	Open(room string, deliver func(Entry)) (Opened, error)
	// Append puts m at the end of the order and does not wait. m comes back as an Entry with
	// the same pointer, and with Seq and Prev set. deliver may be called before Append
	// returns. A transient message keeps its place among the others, but gets no Seq and is
	// not kept. A message that cannot be stored comes back with an error.
	Append(room string, m *Message)
	// Page reads messages that are still kept and calls done with them once, possibly before
	// Page returns. The page may have messages that the room has not published yet. The page
	// of an unknown room has no messages, and that is not an error.
	Page(room string, q PageQuery, done func(Page, error))
	// Close ends the use of a room, because another room takes its place or nothing was ever
	// stored in it. The hub calls it only when all messages of the room have come back, and
	// not for a room that is only idle. Nothing is delivered until the room is opened again.
	// A journal in memory forgets the room, and a later Open begins with another epoch. A
	// durable journal keeps the history.
	Close(room string)
}

// A Position is the end of a room's order.
type Position struct {
	Head  uint64 // the newest Seq, 0 if nothing was ever stored
	Epoch string // changes when Seq starts over; never empty
}

// Opened is the state of a room when it is opened.
type Opened struct {
	Position
	// Recent has the places of the idempotent messages whose retries must still be
	// recognised (see RecentAge), oldest first. The messages themselves may not be kept any
	// more.
	Recent []Stored
}

// ErrUnavailable means that the journal cannot store anything at present. The messages that
// it has stored before can still be read. An Entry's Err may wrap this error.
var ErrUnavailable = errors.New("hub: the journal takes no messages")

// An Entry is a message in its place, or the refusal of one that this process appended.
type Entry struct {
	Message *Message
	// Err says why the message is not stored. Then the message has neither Seq nor Prev.
	Err error
	// Repeated means that a message with this ID was stored before, for example by another
	// process, and that Message has the Seq, Prev and At of that message. The room does not
	// publish it again. It only answers the sender.
	Repeated bool
}

// A PageQuery selects messages with After < Seq < Before. If the limits do not allow all of
// them, the page has the oldest ones, or with Newest the newest ones.
type PageQuery struct {
	After  uint64
	Before uint64 // 0: no upper end
	Limit  int    // messages, at least 1
	Bytes  int    // payload bytes of all messages together, but a page has at least one message; 0: no limit
	Newest bool
}

// A Page is a run of messages, oldest first, and the range that was kept when it was read.
// The messages are shared and must not be changed.
type Page struct {
	Position
	Messages []*Message
	First    uint64 // Seq of the oldest message that is kept, 0 if none is
	// Floor is the Prev of the oldest message that is kept, or Head if none is kept. A reader
	// that has everything up to Floor can get all messages after it.
	Floor uint64
	// Known tells whether the query's After is Floor or the Seq of a message that is kept. A
	// reader whose last message is not known may have missed others, for example because an
	// older copy has replaced a lost disk.
	Known bool
}
