package hub

// An ID names one message. The zero ID stands for none.
type ID [16]byte

// An Author is a person who sends a message or is in a room. Members with the same ID are one
// person. Names need not be unique. Each member that joins without an ID is a person of its
// own.
type Author struct {
	ID   string
	Name string
}

// A Message is a message of a room. The sender sets From, ID, Payload and the flags. After
// Say or Publish the message belongs to the room, and the sender must not change it. A
// published message is immutable and shared.
type Message struct {
	Seq  uint64 // place in the room's order, from 1; set by the journal, 0 if transient
	Prev uint64 // Seq of the message before this one in the room, 0 for the first; set by the journal
	At   int64  // when the room received the message, in Unix milliseconds; set by the room

	ID      ID
	From    Author
	Payload []byte

	// Binary means that the payload is not text.
	Binary bool
	// Transient means that the message is published in order with the others, but not kept.
	// It has no Seq.
	Transient bool
	// Idempotent means that the sender has chosen ID and uses it again for retries. A retry
	// is answered and not stored again.
	Idempotent bool
}

// messageOverhead is how many bytes a message counts in addition to its payload, for the
// memory of its other fields.
const messageOverhead = 160

// Size is the number of bytes that the message counts against limits: the length of its
// payload, and 160 bytes for the other fields.
func (m *Message) Size() int { return len(m.Payload) + messageOverhead }

// A Form encodes messages and changes of presence for the wire. Members with the same *Form
// share one log, so its functions run once per message and not once per member. The hub
// goroutines of several rooms may call them at once. They must not block, and must not keep
// dst.
type Form struct {
	// Message appends the wire bytes of m to dst. A form that does not show m returns dst
	// unchanged. The log owns the result, and may send it to members without a copy.
	Message func(dst []byte, m *Message) []byte
	// People appends the wire bytes of a change of presence to dst. Nil: the form does not
	// show presence.
	People func(dst []byte, p People) []byte
}

// An Owner gets the wakes and notices for one member. The hub goroutine calls both methods,
// so they must not block and must not call the hub. An Owner is a [Waker].
type Owner interface {
	// Wake says that there may be more to write, or that the inbox has space again. If
	// another Waker watches (see Member.Watch), Wake is called only for space in the inbox.
	Wake()
	// Notify hands over a notice that concerns this member alone.
	Notify(Notice)
}

// A Notice is one of Joined, Repeated, Refused and Left.
type Notice interface{ notice() }

// Joined answers Join. After this notice the owner may use the member's cursor, which is at
// the end of the log.
type Joined struct {
	Head   uint64 // the room's newest Seq, 0 if nothing was ever stored; later messages are in the log
	Epoch  string // changes when Seq starts over
	People People // the people in the room, including this member. Joined and Left are not set. Names must not be changed.
}

// Repeated answers a Say whose ID the room has already stored. Only the sender gets it.
type Repeated struct {
	Message *Message // the retry, with Seq, Prev and At of the stored one
}

// Refused answers a Say whose message the journal did not store, or a Join whose room the
// journal could not open. Only the sender or the new member gets it.
type Refused struct {
	ID  ID
	Err error
}

// Left answers Leave. All messages of the member are in the log before End. The owner gets
// no notice after this one.
type Left struct {
	End int64 // an offset in the log, like Cursor.Offset
}

func (Joined) notice()   {}
func (Repeated) notice() {}
func (Refused) notice()  {}
func (Left) notice()     {}
