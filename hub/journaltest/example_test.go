package journaltest_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// The journal in memory is tested like any other.
func TestMemory(t *testing.T) {
	journaltest.Run(t, journaltest.Contract{
		Open: func(t *testing.T, keep int) hub.Journal {
			return hub.NewMemory(hub.MemoryOptions{Messages: keep})
		},
	})
}

func ExampleRun() {
	// The body of a test function. TestMemory in this package is the same.
	_ = func(t *testing.T) {
		journaltest.Run(t, journaltest.Contract{
			Open: func(t *testing.T, keep int) hub.Journal {
				return hub.NewMemory(hub.MemoryOptions{Messages: keep})
			},
		})
	}
}
