package bench

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What a head says is read back, and any other text is not taken for one.
func TestHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newKey(rapid.IntRange(0, maxSenders-1).Draw(t, "sender"), rapid.Uint64Range(0, 1<<40-1).Draw(t, "seq"))
		tag := rapid.Uint64Range(0, tags-1).Draw(t, "tag")
		due := time.Duration(rapid.Int64Range(0, 1<<52-1).Draw(t, "due"))
		b := appendHead(nil, k, tag, due)
		if len(b) != headLen {
			t.Fatalf("a head of %d bytes, want %d", len(b), headLen)
		}
		if gotKey, gotTag, gotDue, ok := parseHead(b); gotKey != k || gotTag != tag || gotDue != due || !ok {
			t.Fatalf("parseHead(%q) = %x, %d, %v, %v; want %x, %d, %v, true", b, gotKey, gotTag, gotDue, ok, k, tag, due)
		}
		b[rapid.IntRange(0, headLen-1).Draw(t, "at")] = rapid.SampledFrom([]byte{'q', '`', 0, 0xFF, 'A'}).Draw(t, "other")
		if _, _, _, ok := parseHead(b); ok {
			t.Fatalf("parseHead(%q) is ok", b)
		}
	})
	if _, _, _, ok := parseHead(make([]byte, headLen-1)); ok {
		t.Error("parseHead of 31 bytes is ok")
	}
}

// The longest sender, number and time there can be fit without touching each other.
func TestKey(t *testing.T) {
	k := newKey(probe, 1<<40-1)
	if k.sender() != probe || k.seq() != 1<<40-1 {
		t.Errorf("sender %d, seq %d; want %d, %d", k.sender(), k.seq(), probe, uint64(1<<40-1))
	}
}

// No piece of the filler can stand for its neighbour.
func TestFiller(t *testing.T) {
	f := newFiller(headLen + 4096)
	if len(f) != 4096 {
		t.Fatalf("%d bytes of filler, want 4096", len(f))
	}
	for shift := 1; shift < 26; shift++ {
		if bytes.Equal(f[:64], f[shift:64+shift]) {
			t.Errorf("the filler is the same %d bytes on", shift)
		}
	}
}
