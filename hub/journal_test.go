package hub_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journaltest"
)

func TestMemoryIsAJournal(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, keep int) hub.Journal {
		return hub.NewMemory(hub.MemoryOptions{Messages: keep})
	})
}

// The journal that the other tests use to make trouble is itself within the contract.
func TestAsyncIsAJournal(t *testing.T) {
	for _, stride := range []uint64{1, 7} {
		journaltest.Run(t, func(t *testing.T, keep int) hub.Journal {
			j := journaltest.NewAsync(journaltest.Options{Keep: keep, Stride: stride})
			t.Cleanup(j.Stop)
			return j
		})
	}
}
