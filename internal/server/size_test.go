package server

import (
	"testing"
	"unsafe"
)

// A session has the size of one of the allocator's classes and not a byte more, which would cost
// another 32 for each connection.
func TestSessionSize(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 288 {
		t.Errorf("a session has %d bytes, want at most 288", size)
	}
}
