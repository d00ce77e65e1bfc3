package wsproto

import (
	"encoding/binary"
	"unicode/utf8"
)

// wholeMessage is the fast path for most messages of a chat: a message of less than 64 KiB in one frame that is whole in b, when a keeps
// no earlier bytes. It returns the unmasked payload and the length of the frame. For all other input, including input with errors, n is 0
// and neither a nor b has changed. Then the caller takes the general path.
func (a *Assembler) wholeMessage(b []byte) (payload []byte, n int) {
	const text, binaryData = finBit | byte(OpText), finBit | byte(OpBinary)
	if len(b) < 4 || b[0] != text && b[0] != binaryData || (b[1]&maskBit != 0) != (a.role == RoleServer) || !a.Between() {
		return nil, 0
	}
	length, start := int(b[1]&lengthBits), 2
	if length == length16 {
		length, start = int(binary.BigEndian.Uint16(b[2:])), 4
	}
	if start == 4 && length < length16 || start == 2 && length == length64 {
		return nil, 0
	}
	if a.role == RoleServer {
		start += 4
	}
	n = start + length
	if len(b) < n || int64(length) > a.maxMessage() {
		return nil, 0
	}
	payload = b[start:n]
	if a.role == RoleServer {
		Mask([4]byte(b[start-4:]), 0, payload)
	}
	if b[0] == text && !validText(payload) {
		if a.role == RoleServer {
			Mask([4]byte(b[start-4:]), 0, payload) // masking again restores the bytes of b
		}
		return nil, 0
	}
	if a.OnHeader != nil {
		h, _, _ := ParseHeader(b)
		a.OnHeader(h)
	}
	return payload, n
}

// validText reports whether p is UTF-8. It is fastest if p is ASCII.
func validText(p []byte) bool {
	p = p[ascii(p):]
	return len(p) == 0 || utf8.Valid(p)
}
