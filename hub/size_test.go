package hub_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// Member and person fill size classes of the allocator: one byte more would cost 16.
func TestSizes(t *testing.T) {
	if hub.MemberSize > 96 || hub.PersonSize > 64 {
		t.Errorf("a member has %d bytes and a person %d, want at most 96 and 64", hub.MemberSize, hub.PersonSize)
	}
}
