package hub

// An ID names one message. The zero ID is no id.
type ID [16]byte

// An Author is who said something, or who is in a room. ID tells people apart; names need not be unique. Who joins without an ID is
// somebody else than all others, and there is nothing to be kept to know them by.
type Author struct {
	ID   string
	Name string
}

// A Message is what somebody said. The sender fills From, ID, Payload and the flags and
// then gives it up: after Say or Publish the room owns it, and once published it is
// immutable and shared.
type Message struct {
	Seq  uint64 // place in the room's order, from 1; set by the journal, 0 if transient
	Prev uint64 // Seq of the room's message before this one, 0 for the first; set by the journal
	At   int64  // when the room took it up, Unix milliseconds; set by the room

	ID      ID
	From    Author
	Payload []byte

	// Binary: the payload is not text.
	Binary bool
	// Transient: delivered live, in order with the others, but not history: it has no Seq.
	Transient bool
	// Idempotent: ID was chosen by the sender and kept across retries, so the same ID
	// again is answered instead of being stored twice.
	Idempotent bool
}

// messageOverhead is what a message costs beside its payload when bytes are counted.
const messageOverhead = 160

// Size is what the message counts against limits in bytes: its payload, and 160 bytes for the rest.
func (m *Message) Size() int { return len(m.Payload) + messageOverhead }

// A Form is one way of putting a room on the wire. Members with the same *Form share
// one log, so its functions run once per message and not once per member. They are
// called from hub goroutines, must not block, and must not keep dst.
type Form struct {
	// Message appends the wire bytes of m to dst; a form that does not show m returns dst as it is.
	// What it returns is the log's, and may be what members are sent from.
	Message func(dst []byte, m *Message) []byte
	// People appends the wire bytes of a change of presence to dst. Nil: the form shows none.
	People func(dst []byte, p People) []byte
}

// An Owner is told what its member must do next. It is a Waker. Both methods are called from the hub
// goroutine, must not block, and must not call back into the hub from inside.
type Owner interface {
	// Wake says that there may be more to write (unless another watches, see Member.Watch), or
	// space in the inbox again.
	Wake()
	// Notify hands over something that concerns this member alone.
	Notify(Notice)
}

// A Notice is one of Joined, Repeated, Refused and Left.
type Notice interface{ notice() }

// Joined answers Join: from this notice on the owner may use the member's cursor, which stands at the end of the log.
type Joined struct {
	Head   uint64 // the room's newest Seq, 0 if nothing was ever said; what follows is in the log
	Epoch  string // changes when Seq starts over
	People People // who is there, this member included: Count and Names, which must not be changed
}

// Repeated answers a Say whose ID the room has already stored, to its sender alone.
type Repeated struct {
	Message *Message // the retry, with Seq, Prev and At of the stored one
}

// Refused answers a Say that the journal did not take, to its sender alone.
type Refused struct {
	ID  ID
	Err error
}

// Left answers Leave: everything the member said before is in the log in front of End,
// and it will get no further notice.
type Left struct {
	End int64 // an offset comparable with Cursor.Offset
}

func (Joined) notice()   {}
func (Repeated) notice() {}
func (Refused) notice()  {}
func (Left) notice()     {}
