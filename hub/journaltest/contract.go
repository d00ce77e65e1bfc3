// Package journaltest tests whether a [hub.Journal] keeps its contract. If you write a
// journal of your own, run it in a test:
//
//	func TestJournal(t *testing.T) {
//		journaltest.Run(t, journaltest.Contract{
//			Open: func(t *testing.T, keep int) hub.Journal {
//				j := mine.New(mine.Options{Dir: t.TempDir(), Messages: keep})
//				t.Cleanup(j.Stop)
//				return j
//			},
//			Break: func(t *testing.T, j hub.Journal) { j.(*mine.Journal).Disconnect() },
//		})
//	}
//
// Run it with the race detector. A journal that passes works with a hub: no message is lost
// or shown twice, and no hub goroutine waits.
//
// [Async] is for tests of a program that uses a hub. It is a journal that answers late,
// refuses and fails when the test wants that.
//
// This package must not know any journal but Async. It imports the standard library and hub
// only.
package journaltest

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// A Contract is a kind of journal to be tested.
type Contract struct {
	// Open returns an empty journal that keeps the newest keep messages of each room, or
	// all if keep is 0. If the journal has to be ended, Open calls t.Cleanup.
	Open func(t *testing.T, keep int) hub.Journal
	// Break makes a journal unable to store anything for the rest of the test. For example,
	// it fills the disk or closes a connection. It returns when the next Append will fail.
	// Nil: this kind of journal can always store, so its refusals are not tested.
	Break func(t *testing.T, j hub.Journal)
}

// Run tests one kind of journal.
func Run(t *testing.T, c Contract) {
	for _, part := range []struct {
		name string
		keep int
		test func(*testing.T, hub.Journal)
	}{
		{"a new room is at 0", 0, newRoom},
		{"a room that was never opened has no messages", 0, unknownRoom},
		{"messages come back in order", 0, order},
		{"several goroutines use rooms of their own", 0, senders},
		{"a transient message keeps its place and is not kept", 0, transient},
		{"pages", 0, pages},
		{"pages of a trimmed room", 3, trimmed},
		{"pages between numbers that exist", 0, queryBetween},
		{"a page does not change later", 3, immutable},
		{"every message is stored as it was said", 0, contents},
		{"only the newest messages are kept, in each room", 5, retention},
		{"rooms do not mix", 0, separate},
		{"many rooms are opened at once", 0, opens},
		{"pages are gapless while messages come", 5, concurrent},
		{"deliver may read and append", 0, reentrant},
		{"nothing waits for deliver", 0, stalled},
		{"a closed room starts over or goes on", 0, reopen},
		{"a closed room that goes on still knows its ids", 3, remembered},
		{"a repeated id is stored again or answered with its place", 0, repeated},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, c.Open(t, part.keep)) })
	}
	if c.Break == nil {
		return
	}
	t.Run("a message that cannot be stored comes back refused", func(t *testing.T) {
		j := c.Open(t, 0)
		refused(t, j, func() { c.Break(t, j) })
	})
}
