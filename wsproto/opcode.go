package wsproto

import "strconv"

// Opcode says how the payload of a frame is to be read. It is four bits wide.
type Opcode uint8

// The opcodes of §11.8. The others, 3 to 7 and 11 to 15, are reserved.
const (
	OpContinuation Opcode = 0x0 // §5.4
	OpText         Opcode = 0x1 // §5.6
	OpBinary       Opcode = 0x2 // §5.6
	OpClose        Opcode = 0x8 // §5.5.1
	OpPing         Opcode = 0x9 // §5.5.2
	OpPong         Opcode = 0xA // §5.5.3
)

// IsControl reports whether o marks a control frame. Control frames are about the connection, and may come between the fragments of a
// message (§5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

// IsData reports whether o marks a data frame: a message or a fragment of one, continuations included (§5.6).
func (o Opcode) IsData() bool { return o&0x8 == 0 }

// isReserved reports whether the RFC reserves o for later versions and for extensions. This package implements none of these.
func (o Opcode) isReserved() bool { return o&0x7 > 2 }

// String returns the RFC's word for o in lower case, or "opcode 11" for a reserved one.
func (o Opcode) String() string {
	switch o {
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(o))
}

// Role is the side of the connection that this program is on, which decides who masks (§5.1).
type Role uint8

const (
	RoleServer Role = iota // expects masked frames, sends unmasked ones
	RoleClient             // expects unmasked frames, sends masked ones
)
