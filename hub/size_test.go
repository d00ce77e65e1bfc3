package hub_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// What is kept for each member has the size of one of the allocator's classes and not a byte
// more, which would cost another 16 for each.
func TestSizes(t *testing.T) {
	if hub.MemberSize > 96 || hub.PersonSize > 64 {
		t.Errorf("a member has %d bytes and a person %d, want at most 96 and 64", hub.MemberSize, hub.PersonSize)
	}
}
