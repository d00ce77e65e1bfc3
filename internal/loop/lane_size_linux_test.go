package loop

import (
	"testing"
	"unsafe"
)

// A laneConn fills one of the allocator's size classes. One more byte would cost 16 for each
// connection.
func TestLaneConnSize(t *testing.T) {
	if size := unsafe.Sizeof(laneConn{}); size > 64 {
		t.Errorf("a laneConn has %d bytes, want at most 64", size)
	}
}
