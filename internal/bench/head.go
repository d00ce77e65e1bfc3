package bench

import (
	"encoding/binary"
	"time"
)

// A message of a run is text: a head of 32 letters, then filler. Each letter from a to p stands for four bits, so the JSON form need not
// escape any of them.
//
//	sender 24 bits, seq 40 bits | tag of the run 12 bits, due 52 bits (ns since the run began)
const headLen = 32

// probe is a sender number that no sender has. It marks the messages with which a run finds out which members have joined.
const probe = maxSenders - 1

// key names a message: its sender (24 bits) and its number among the messages of that sender (40 bits).
type key uint64

func newKey(sender int, seq uint64) key { return key(uint64(sender)<<40 | seq) }
func (k key) sender() int               { return int(k >> 40) }
func (k key) seq() uint64               { return uint64(k) & (1<<40 - 1) }

// appendHead appends the head of a message to dst.
func appendHead(dst []byte, k key, tag uint64, due time.Duration) []byte {
	dst = appendLetters(dst, uint64(k))
	return appendLetters(dst, tag<<52|uint64(due))
}

// parseHead reads what appendHead wrote. ok is false for any other text.
func parseHead(b []byte) (k key, tag uint64, due time.Duration, ok bool) {
	if len(b) < headLen {
		return 0, 0, 0, false
	}
	first, ok1 := parseLetters(b)
	second, ok2 := parseLetters(b[16:])
	return key(first), second >> 52, time.Duration(second & (1<<52 - 1)), ok1 && ok2
}

func appendLetters(dst []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, 'a'+byte(v>>shift&15))
	}
	return dst
}

func parseLetters(b []byte) (v uint64, ok bool) {
	for _, c := range b[:16] {
		d := c - 'a'
		if d > 15 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}

// headWords is a head as four words, because words compare faster than bytes.
type headWords [4]uint64

func wordsOf(b []byte) (w headWords) {
	_ = b[headLen-1]
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return w
}

// newFiller returns the bytes that follow the head in each message of size bytes. The letters form a pattern, so that the check notices a
// piece of a message that is in the wrong place.
func newFiller(size int) []byte {
	p := make([]byte, size-headLen)
	for i := range p {
		p[i] = 'A' + byte((i+i/26)%26)
	}
	return p
}
