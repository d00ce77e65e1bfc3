package wsproto

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
)

// Limits bounds what one message of the peer may cost. A zero means no limit.
type Limits struct {
	MessageBytes int64 // payload of a message, all fragments together; beyond it the connection fails with 1009
	Fragments    int   // frames of a message; beyond it the connection fails with 1008
}

// Event is what an [Assembler] has found: a whole message ([OpText], [OpBinary]) or a control frame ([OpPing], [OpPong],
// [OpClose]). The zero Event, whose Opcode is [OpContinuation], means that nothing is complete yet.
type Event struct {
	Opcode  Opcode
	Payload []byte    // unmasked; lies in the bytes given to Next and is valid until the next call, unless Own
	Own     bool      // Payload lies in a buffer of its own, and that is the receiver's from now on
	Code    CloseCode // of a Close frame; CloseNoStatusReceived when it has none
	Reason  string    // of a Close frame
}

// Assembler turns the bytes of one direction of a connection, cut anywhere, into events. It holds every rule that needs more
// than one header to judge: masking by role, fragmentation, text, limits, and the end after a Close frame.
//
// While it is between messages it holds no buffer.
type Assembler struct {
	// OnHeader, if set before the first call to Next, is called with every legal frame header, before the frame's payload.
	OnHeader func(Header)

	// Immutable.
	role   Role
	limits Limits

	// The frame being read.
	partial    [MaxHeaderLen]byte // a header of which only the beginning has come
	partialLen uint8              //
	inFrame    bool               // header is whole, its payload is not
	header     Header             //
	offset     int                // of the next payload byte in the masking key
	missing    int64              // bytes of payload still to come
	control    []byte             // the beginning of a control frame's payload

	// The message being assembled.
	opcode    Opcode // OpText or OpBinary; OpContinuation between messages
	fragments int    // frames so far
	message   []byte // payload so far
	text      utf8Checker

	// The end.
	closed bool  // a Close frame has come
	err    error // the connection has failed
}

// NewAssembler returns an Assembler for the bytes that role receives.
func NewAssembler(role Role, limits Limits) *Assembler {
	return &Assembler{role: role, limits: limits}
}

// Buffered returns the bytes of memory held for what is not complete: the pieces of a message, or of a control frame. It is at
// most twice what has been received of them (64 bytes at least), and 0 between messages.
func (a *Assembler) Buffered() int { return cap(a.message) + cap(a.control) }

// Between reports whether what has been consumed ends between two messages, with nothing kept of either. Then the Assembler is as
// good as a new one, so few of them can serve many connections that are mostly idle.
func (a *Assembler) Between() bool {
	return a.err == nil && !a.closed && !a.inFrame && a.partialLen == 0 && a.opcode == OpContinuation && a.control == nil
}

// Next consumes b up to the end of the next event and returns the event with the rest of b. When b ends first it is
// consumed whole, and the Event is the zero one: call Next for as long as there are bytes, then read more.
//
// A payload that lies whole in b is unmasked there and not copied; what must be kept is copied, so b is free for reuse at the next
// call. A [*ProtocolError] means that the connection must be failed; then, and at every later call, Next returns that error alone.
// After a Close frame everything is consumed and ignored (§5.5.1).
func (a *Assembler) Next(b []byte) (ev Event, rest []byte, err error) {
	for a.err == nil && !a.closed {
		if !a.inFrame {
			n, err := a.readHeader(b)
			if err != nil {
				a.fail(err)
				break
			}
			if !a.inFrame { // b is used up
				break
			}
			b = b[n:]
		}
		p := b[:min(int64(len(b)), a.missing)]
		b = b[len(p):]
		ev, err := a.readPayload(p)
		if err != nil {
			a.fail(err)
			break
		}
		if ev.Opcode != OpContinuation {
			return ev, b, nil
		}
		if a.inFrame { // b is used up
			break
		}
	}
	return Event{}, nil, a.err
}

// fail ends the connection for good, and lets the buffers go.
func (a *Assembler) fail(err error) {
	a.err = err
	a.message, a.control = nil, nil
}

// readHeader reads the header that begins in the bytes kept from before, if any, and goes on in b. It returns how much of b it
// took; unless the header is whole then, and a.inFrame, that is everything.
func (a *Assembler) readHeader(b []byte) (n int, err error) {
	src := b
	kept := int(a.partialLen)
	if kept > 0 {
		src = a.partial[:kept+copy(a.partial[kept:], b)]
	}
	// The rules that two bytes suffice for come first, so that the error does not depend on how the stream is cut.
	if len(src) >= 2 {
		if err := a.admit(src[0], src[1]); err != nil {
			return 0, err
		}
	}
	h, n, err := ParseHeader(src)
	if errors.Is(err, ErrNeedMore) {
		a.partialLen = uint8(copy(a.partial[:], src))
		return len(b), nil
	}
	if err != nil {
		return 0, err
	}
	a.partialLen = 0
	if a.OnHeader != nil {
		a.OnHeader(h)
	}
	if h.Opcode.IsData() {
		if err := a.admitLength(h); err != nil {
			return 0, err
		}
	}
	a.inFrame, a.header, a.offset, a.missing = true, h, 0, h.PayloadLen
	return n - kept, nil
}

// admit judges the first two bytes of a header by what has gone before it.
func (a *Assembler) admit(first, second byte) error {
	op := Opcode(first & opcodeBits)
	masked := second&maskBit != 0
	switch {
	case first&rsvBits != 0:
		return violation("5.2", "RSV bit set although no extension was negotiated")
	case !masked && a.role == RoleServer:
		return violation("5.1", "unmasked frame from a client")
	case masked && a.role == RoleClient:
		return violation("5.1", "masked frame from a server")
	case op == OpContinuation && a.opcode == OpContinuation:
		return violation("5.4", "continuation frame without a message to continue")
	case op != OpContinuation && op.IsData() && a.opcode != OpContinuation:
		return violation("5.4", "new message inside a fragmented one")
	}
	return nil
}

// admitLength counts a data frame in and judges it by the limits, before a byte of its payload is read.
func (a *Assembler) admitLength(h Header) error {
	if h.Opcode != OpContinuation {
		a.opcode = h.Opcode
	}
	a.fragments++
	if limit := a.limits.Fragments; limit > 0 && a.fragments > limit {
		return &ProtocolError{ClosePolicyViolation, "7.4.1", "message of more than " + strconv.Itoa(limit) + " fragments"}
	}
	limit := a.maxMessage()
	if h.PayloadLen > limit-int64(len(a.message)) { // a subtraction: the sum could overflow
		return &ProtocolError{CloseMessageTooBig, "7.4.1", "message of more than " + strconv.FormatInt(limit, 10) + " bytes"}
	}
	return nil
}

// maxMessage is the most payload a message may have: the limit, or without one what a slice can hold.
func (a *Assembler) maxMessage() int64 {
	if limit := a.limits.MessageBytes; limit > 0 {
		return min(limit, math.MaxInt)
	}
	return math.MaxInt
}

// readPayload takes the next piece of the frame's payload, or the whole of it, which may be empty. It returns the zero Event
// unless the piece ends a control frame or a message.
func (a *Assembler) readPayload(p []byte) (Event, error) {
	if a.header.Masked {
		a.offset = Mask(a.header.MaskingKey, a.offset, p)
	}
	a.missing -= int64(len(p))
	a.inFrame = a.missing > 0
	if a.header.Opcode.IsControl() {
		return a.readControl(p)
	}
	return a.readData(p)
}

// readControl takes a piece of a control frame, which may stand between the fragments of a message and leaves that alone (§5.5).
func (a *Assembler) readControl(p []byte) (Event, error) {
	if a.inFrame || a.control != nil {
		a.control = append(a.control, p...)
		p = a.control
	}
	if a.inFrame {
		return Event{}, nil
	}
	a.control = nil
	ev := Event{Opcode: a.header.Opcode, Payload: p}
	if ev.Opcode != OpClose {
		return ev, nil
	}
	var err error
	if ev.Code, ev.Reason, err = ParseClosePayload(p); err != nil {
		return Event{}, err
	}
	a.closed = true
	a.message = nil // a message cut short by the Close will never be whole
	return ev, nil
}

// readData takes a piece of a data frame. A message that came in one piece is passed on where it lies.
func (a *Assembler) readData(p []byte) (Event, error) {
	if a.opcode == OpText && !a.text.write(p) {
		return Event{}, &ProtocolError{CloseInvalidFramePayloadData, "8.1", "text is not UTF-8"}
	}
	last := a.header.Fin && !a.inFrame
	if !last || a.message != nil {
		a.grow(len(p))
		a.message = append(a.message, p...)
		p = a.message
	}
	if !last {
		return Event{}, nil
	}
	if a.opcode == OpText && !a.text.complete() {
		return Event{}, &ProtocolError{CloseInvalidFramePayloadData, "8.1", "text ends within a character"}
	}
	ev := Event{Opcode: a.opcode, Payload: p, Own: a.message != nil}
	a.opcode, a.fragments, a.message = OpContinuation, 0, nil
	return ev, nil
}

// grow makes room for n more bytes of the message: the next power of two above what has come. What a header promises never
// makes it larger, only smaller, so that it stops at what the message can still become.
func (a *Assembler) grow(n int) {
	need := len(a.message) + n
	if need <= cap(a.message) {
		return
	}
	most := a.maxMessage()
	if a.header.Fin {
		most = int64(need) + a.missing
	}
	size := min(max(64, int64(1)<<bits.Len(uint(need-1))), most)
	a.message = append(make([]byte, 0, size), a.message...)
}
