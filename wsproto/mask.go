package wsproto

import (
	"encoding/binary"
	"math/bits"
)

// Mask masks p in place, or unmasks it: the two are one operation, byte i of the payload XOR byte i mod 4 of the key (§5.3).
// The offset is the place of p[0] in the payload, 0 for a whole one; Mask returns the offset, mod 4, of the byte after p, so a
// payload can be masked piece by piece.
//
// It masks eight bytes at a time, and 64 bytes in each round of a long payload.
func Mask(key [4]byte, offset int, p []byte) int {
	next := (offset + len(p)) & 3

	// The key, twice, rotated so that its lowest byte is the byte for p[0]. Every step but the last is a multiple of four bytes long, so
	// the rotation stays right.
	k32 := bits.RotateLeft32(binary.LittleEndian.Uint32(key[:]), -8*(offset&3))
	k := uint64(k32)<<32 | uint64(k32)

	le := binary.LittleEndian
	for len(p) >= 64 {
		q := (*[64]byte)(p) // the length is known from here: no more bounds checks
		le.PutUint64(q[0:], le.Uint64(q[0:])^k)
		le.PutUint64(q[8:], le.Uint64(q[8:])^k)
		le.PutUint64(q[16:], le.Uint64(q[16:])^k)
		le.PutUint64(q[24:], le.Uint64(q[24:])^k)
		le.PutUint64(q[32:], le.Uint64(q[32:])^k)
		le.PutUint64(q[40:], le.Uint64(q[40:])^k)
		le.PutUint64(q[48:], le.Uint64(q[48:])^k)
		le.PutUint64(q[56:], le.Uint64(q[56:])^k)
		p = p[64:]
	}
	for len(p) >= 8 {
		le.PutUint64(p, le.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		k >>= 8
	}
	return next
}
