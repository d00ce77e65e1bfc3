package wsproto

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
)

// Limits bounds what one message of the peer may cost. Zero means no limit.
type Limits struct {
	MessageBytes int64 // payload bytes of a message, all fragments together; a longer message fails the connection with 1009
	Fragments    int   // frames of a message; one more frame fails the connection with 1008
}

// Event is a whole message ([OpText], [OpBinary]) or a control frame ([OpPing], [OpPong], [OpClose]) that an [Assembler] has found. The
// zero Event, whose Opcode is [OpContinuation], means that nothing is complete yet.
type Event struct {
	Opcode  Opcode
	Payload []byte    // unmasked; unless Own is set, it lies in the bytes given to Next, and is valid until the next call
	Own     bool      // Payload lies in a buffer that belongs to the receiver of the Event from now on
	Code    CloseCode // of a Close frame; CloseNoStatusReceived when it has none
	Reason  string    // of a Close frame
}

// Assembler turns the bytes of one direction of a connection into events. The bytes may arrive in pieces of any size. It checks the rules
// that need more than one header: masking by role, fragmentation, text, limits, and that bytes after a Close frame are ignored.
//
// Between messages it holds no buffer, except one from Reuse.
type Assembler struct {
	// OnHeader, if set before the first call to Next, is called with every legal frame header, before the frame's payload.
	OnHeader func(Header)

	// Immutable.
	role   Role
	limits Limits

	// The frame being read.
	partial    [MaxHeaderLen]byte // the beginning of a header whose rest has not come yet
	partialLen uint8              //
	inFrame    bool               // the header has come, and a part of the payload is missing
	header     Header             //
	offset     int                // the offset of the next payload byte, mod 4, which is its place in the masking key
	missing    int64              // bytes of payload still to come
	control    []byte             // the beginning of a control frame's payload

	// The message being assembled.
	opcode    Opcode // OpText or OpBinary; OpContinuation between messages
	fragments int    // frames so far
	message   []byte // payload so far
	spare     []byte // a buffer from Reuse for the next message that comes in pieces
	text      utf8Checker

	// The end.
	closed bool  // a Close frame has come
	err    error // the connection has failed
}

// NewAssembler returns an Assembler for the bytes that role receives.
func NewAssembler(role Role, limits Limits) *Assembler {
	return &Assembler{role: role, limits: limits}
}

// Buffered returns how many bytes of memory the pieces of an incomplete message and of an incomplete control frame take. That is at most
// twice the bytes that have been received of them (64 bytes at least), and 0 between messages. A buffer from Reuse counts with its whole
// capacity while a message is in it.
func (a *Assembler) Buffered() int { return cap(a.message) + cap(a.control) }

// Reuse gives the Assembler a buffer for the next message that comes in pieces. Usually this is the Payload of an [Event] with Own that
// the receiver no longer needs. The caller must not use the buffer afterwards. Reuse saves an allocation for each large message.
func (a *Assembler) Reuse(buffer []byte) { a.spare = buffer[:0] }

// Between reports whether the bytes so far end between two messages. Then the Assembler has the state of a new one, and may be used for
// another connection. So a few Assemblers can serve many connections that are mostly idle.
func (a *Assembler) Between() bool {
	return a.err == nil && !a.closed && !a.inFrame && a.partialLen == 0 && a.opcode == OpContinuation && a.control == nil
}

// Next consumes b up to the end of the next event, and returns the event and the rest of b. If b ends before the event does, Next
// consumes all of b and returns the zero Event. So call Next while there are bytes left, then read more.
//
// A payload that lies whole in b is unmasked in place and not copied. Next copies the pieces that it must keep, so the caller may reuse b
// for the next call. A [*ProtocolError] means that the connection must be failed. Then Next returns no event, and every later call returns
// the same error. After a Close frame Next ignores all bytes (§5.5.1).
func (a *Assembler) Next(b []byte) (ev Event, rest []byte, err error) {
	if p, n := a.wholeMessage(b); n > 0 {
		return Event{Opcode: Opcode(b[0] & opcodeBits), Payload: p}, b[n:], nil
	}
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

// fail ends the connection for good and drops the buffers.
func (a *Assembler) fail(err error) {
	a.err = err
	a.message, a.control, a.spare = nil, nil, nil
}

// readHeader reads a header, whose beginning may be in a.partial, and returns how many bytes of b it took. If the header is whole then,
// readHeader sets a.inFrame. Otherwise it has taken all of b.
func (a *Assembler) readHeader(b []byte) (n int, err error) {
	src := b
	kept := int(a.partialLen)
	if kept > 0 {
		src = a.partial[:kept+copy(a.partial[kept:], b)]
	}
	// Rules about the first two bytes are checked first, so that the error does not depend on how the stream is cut.
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

// admit checks the first two bytes of a header against the role and the message in progress.
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

// admitLength counts a data frame and checks it against the limits, before its payload is read.
func (a *Assembler) admitLength(h Header) error {
	if h.Opcode != OpContinuation {
		a.opcode = h.Opcode
	}
	a.fragments++
	if limit := a.limits.Fragments; limit > 0 && a.fragments > limit {
		return &ProtocolError{ClosePolicyViolation, "7.4.1", "message of more than " + strconv.Itoa(limit) + " fragments"}
	}
	limit := a.maxMessage()
	if h.PayloadLen > limit-int64(len(a.message)) { // subtract, because a sum could overflow
		return &ProtocolError{CloseMessageTooBig, "7.4.1", "message of more than " + strconv.FormatInt(limit, 10) + " bytes"}
	}
	return nil
}

// maxMessage returns the longest payload that a message may have: the limit, or the longest slice if there is no limit.
func (a *Assembler) maxMessage() int64 {
	if limit := a.limits.MessageBytes; limit > 0 {
		return min(limit, math.MaxInt)
	}
	return math.MaxInt
}

// readPayload takes the next piece of the frame's payload, which may be the whole payload, and may be empty. It returns the zero Event
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

// readControl takes a piece of a control frame. The frame may come between the fragments of a message, which it does not change (§5.5).
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
	a.message, a.spare = nil, nil // after the Close frame an incomplete message never becomes whole
	return ev, nil
}

// readData takes a piece of a data frame. A message that came in one piece is not copied.
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

// grow makes space for n more bytes of the message. The capacity is the next power of two above the bytes that have come, but at most the
// longest that the message may still become. The length that a header announces does not make the buffer larger, because the payload may
// never come.
func (a *Assembler) grow(n int) {
	if a.message == nil {
		a.message, a.spare = a.spare, nil
	}
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
