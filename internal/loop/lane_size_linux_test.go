package loop

import (
	"testing"
	"unsafe"
)

// A laneConn has the size of one of the allocator's classes and not a byte more, which would cost
// another 16 for each connection.
func TestLaneConnSize(t *testing.T) {
	if size := unsafe.Sizeof(laneConn{}); size > 64 {
		t.Errorf("a laneConn has %d bytes, want at most 64", size)
	}
}
