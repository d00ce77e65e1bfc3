package journaltest_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// The journal that makes trouble keeps the contract itself.
func TestAsync(t *testing.T) {
	for _, stride := range []uint64{1, 7} {
		t.Run(fmt.Sprint("stride ", stride), func(t *testing.T) {
			var broken atomic.Bool
			journaltest.Run(t, journaltest.Contract{
				Open: func(t *testing.T, keep int) hub.Journal {
					broken.Store(false)
					j := journaltest.NewAsync(journaltest.Options{Keep: keep, Stride: stride, Refuse: func(*hub.Message) error {
						if broken.Load() {
							return fmt.Errorf("the disk is full: %w", hub.ErrUnavailable)
						}
						return nil
					}})
					t.Cleanup(j.Stop)
					return j
				},
				Break: func(*testing.T, hub.Journal) { broken.Store(true) },
			})
		})
	}
}
