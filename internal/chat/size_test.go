package chat

import (
	"strings"
	"testing"
	"unsafe"
)

// A session and its form each fill one of the allocator's size classes at most: the next class would cost each
// connection another 32 and 16 bytes.
func TestSessionSize(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 288 {
		t.Errorf("a session has %d bytes, want at most 288", size)
	}
	if size := unsafe.Sizeof(v1{}); size > 64 {
		t.Errorf("doyasa.v1 adds %d bytes, want at most 64", size)
	}
}

// All members that are due for a beat at the same tick share one.
func TestBeatIsShared(t *testing.T) {
	s := new(Sessions)
	if n := testing.AllocsPerRun(1000, func() { s.beat(7) }); n > 0 {
		t.Errorf("a beat costs %v allocations, want none", n)
	}
	if got := string(s.beat(8)); !strings.Contains(got, `{"type":"beat","seq":8,"at":`) {
		t.Errorf("at 8 the beat is %q", got)
	}
}
