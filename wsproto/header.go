package wsproto

import "encoding/binary"

const (
	// MaxHeaderLen is the length in bytes of the longest frame header: two bytes, a 64-bit length and a masking key.
	MaxHeaderLen = 14

	// MaxControlPayload is the most payload, in bytes, that a control frame may carry (§5.5).
	MaxControlPayload = 125
)

// Header is a frame header (§5.2):
//
//	  byte 0          byte 1
//	+-+---+------+  +-+-----------+  +-----------------------+  +-------------+
//	|F|RSV|opcode|  |M| length: 7 |  | length: 0, 2, 8 bytes |  | masking key |
//	|1| 3 |  4   |  |1|           |  | big-endian            |  | 0, 4 bytes  |
//	+-+---+------+  +-+-----------+  +-----------------------+  +-------------+
type Header struct {
	Fin        bool    // the last frame of its message
	RSV        uint8   // RSV1, RSV2, RSV3 as the bits 4, 2, 1; zero unless an extension gives them a meaning
	Opcode     Opcode  //
	Masked     bool    // the MASK bit
	MaskingKey [4]byte // zero unless Masked
	PayloadLen int64   // in bytes, never negative
}

// The first two bytes, and the two values of the 7-bit length that announce a longer one.
const (
	finBit     = 0x80
	rsvBits    = 0x70
	rsvShift   = 4
	opcodeBits = 0x0F

	maskBit    = 0x80
	lengthBits = 0x7F
	length16   = 126
	length64   = 127
)

// ParseHeader reads the frame header that b begins with and returns it with its length in bytes.
//
// It returns [ErrNeedMore] while b is too short, and a [*ProtocolError] as soon as the bytes that are there, two or more, cannot
// become a legal header: a reserved opcode, a control frame that is fragmented or longer than [MaxControlPayload], a payload
// length not written in its shortest form or above 2⁶³-1. It returns RSV bits and the MASK bit without a check, because the rules for
// them depend on the extensions and the role.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return Header{}, 0, ErrNeedMore
	}
	h.Fin = b[0]&finBit != 0
	h.RSV = b[0] & rsvBits >> rsvShift
	h.Opcode = Opcode(b[0] & opcodeBits)
	h.Masked = b[1]&maskBit != 0
	h.PayloadLen = int64(b[1] & lengthBits)

	switch {
	case h.Opcode.isReserved():
		return Header{}, 0, violation("5.2", "reserved opcode")
	case h.Opcode.IsControl() && !h.Fin:
		return Header{}, 0, violation("5.5", "fragmented control frame")
	case h.Opcode.IsControl() && h.PayloadLen > MaxControlPayload:
		return Header{}, 0, violation("5.5", "control frame with more than 125 bytes of payload")
	}

	n = 2
	switch h.PayloadLen {
	case length16:
		if len(b) < 4 {
			return Header{}, 0, ErrNeedMore
		}
		h.PayloadLen, n = int64(binary.BigEndian.Uint16(b[2:])), 4
		if h.PayloadLen < length16 {
			return Header{}, 0, violation("5.2", "payload length not in its shortest form")
		}
	case length64:
		if len(b) < 10 {
			return Header{}, 0, ErrNeedMore
		}
		h.PayloadLen, n = int64(binary.BigEndian.Uint64(b[2:])), 10
		if h.PayloadLen < 0 {
			return Header{}, 0, violation("5.2", "payload length with the most significant bit set")
		}
		if h.PayloadLen < 1<<16 {
			return Header{}, 0, violation("5.2", "payload length not in its shortest form")
		}
	}

	if h.Masked {
		if len(b) < n+4 {
			return Header{}, 0, ErrNeedMore
		}
		n += copy(h.MaskingKey[:], b[n:])
	}
	return h, n, nil
}

// AppendHeader appends h to dst. It is the exact inverse of [ParseHeader]. It does not check h. If h is not legal, ParseHeader refuses the
// bytes.
func AppendHeader(dst []byte, h Header) []byte {
	first := h.RSV<<rsvShift&rsvBits | uint8(h.Opcode)&opcodeBits
	if h.Fin {
		first |= finBit
	}
	var mask uint8
	if h.Masked {
		mask = maskBit
	}

	switch {
	case uint64(h.PayloadLen) < length16:
		dst = append(dst, first, mask|uint8(h.PayloadLen))
	case uint64(h.PayloadLen) < 1<<16:
		dst = append(dst, first, mask|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(h.PayloadLen))
	default:
		dst = append(dst, first, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.PayloadLen))
	}

	if h.Masked {
		dst = append(dst, h.MaskingKey[:]...)
	}
	return dst
}

// AppendFrame appends a whole frame to dst: h with its PayloadLen set to len(payload), then the payload, masked in dst when
// h.Masked. The payload itself is left as it is.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.PayloadLen = int64(len(payload))
	dst = AppendHeader(dst, h)
	start := len(dst)
	dst = append(dst, payload...)
	if h.Masked {
		Mask(h.MaskingKey, 0, dst[start:])
	}
	return dst
}
