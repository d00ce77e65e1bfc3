package journal_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/journal"
)

func open(t *testing.T, o journal.Options) *journal.Journal {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Stop() })
	return j
}

func TestContract(t *testing.T) {
	journaltest.Run(t, journaltest.Contract{
		Open: func(t *testing.T, keep int) hub.Journal {
			return open(t, journal.Options{Limits: hub.Limits{Messages: keep}})
		},
		Break: func(t *testing.T, j hub.Journal) { j.(*journal.Journal).Break() },
	})
}
