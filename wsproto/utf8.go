package wsproto

import (
	"encoding/binary"
	"unicode/utf8"
)

// utf8Checker checks UTF-8 that arrives in pieces. A piece may end anywhere, also between the bytes of one character. The checker fails at
// the first byte that cannot be part of any text (§8.1). Its zero value stands at the beginning of a text.
type utf8Checker struct {
	missing uint8 // how many continuation bytes the current character still needs, 0 to 3
	lo, hi  uint8 // the range in which the next of these bytes must be
}

// write checks the next piece and reports whether the text can still become valid. After it has returned false, the checker must not be
// used again.
func (u *utf8Checker) write(p []byte) bool {
	for u.missing > 0 && len(p) > 0 {
		if !u.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	p = p[ascii(p):]
	whole := len(p) - cutOff(p)
	if !utf8.Valid(p[:whole]) {
		return false
	}
	for _, c := range p[whole:] {
		if !u.step(c) {
			return false
		}
	}
	return true
}

// ascii returns the length of a prefix of p that is all ASCII, a multiple of 64. It checks eight words at a time, which is three times as
// fast as utf8.Valid.
func ascii(p []byte) (n int) {
	le := binary.LittleEndian
	for len(p)-n >= 64 {
		q := (*[64]byte)(p[n:])
		all := le.Uint64(q[0:]) | le.Uint64(q[8:]) | le.Uint64(q[16:]) | le.Uint64(q[24:]) |
			le.Uint64(q[32:]) | le.Uint64(q[40:]) | le.Uint64(q[48:]) | le.Uint64(q[56:])
		if all&0x8080808080808080 != 0 {
			break
		}
		n += 64
	}
	return n
}

// complete reports whether the text may end here. It may not end within a character.
func (u *utf8Checker) complete() bool { return u.missing == 0 }

// step checks one byte by the table of RFC 3629 §4. Continuation bytes are 80 to BF. After some first bytes the range of the second byte
// is smaller, which excludes overlong forms (E0, F0), surrogates (ED) and characters above U+10FFFF (F4).
func (u *utf8Checker) step(c byte) bool {
	if u.missing > 0 {
		if c < u.lo || c > u.hi {
			return false
		}
		u.missing, u.lo, u.hi = u.missing-1, 0x80, 0xBF
		return true
	}
	u.lo, u.hi = 0x80, 0xBF
	switch {
	case c < 0x80:
	case c < 0xC2: // a continuation byte, or the overlong C0 and C1
		return false
	case c < 0xE0:
		u.missing = 1
	case c < 0xF0:
		u.missing = 2
		switch c {
		case 0xE0:
			u.lo = 0xA0
		case 0xED:
			u.hi = 0x9F
		}
	case c < 0xF5:
		u.missing = 3
		switch c {
		case 0xF0:
			u.lo = 0x90
		case 0xF4:
			u.hi = 0x8F
		}
	default:
		return false
	}
	return true
}

// cutOff returns how many bytes at the end of p, 0 to 3, begin a character whose rest lies beyond p.
func cutOff(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		switch c := p[len(p)-n]; {
		case c < 0x80:
			return 0
		case c >= 0xC0: // a first byte: 110xxxxx of two, 1110xxxx of three, 1111xxxx of four
			if n == 1 || n == 2 && c >= 0xE0 || n == 3 && c >= 0xF0 {
				return n
			}
			return 0
		}
	}
	return 0
}
