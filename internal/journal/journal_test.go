package journal_test

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal"
	"github.com/doyasa/doyasa/internal/journaltest"
)

func open(t *testing.T, o journal.Options) *journal.Journal {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	j, err := journal.OpenEmbedded(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Stop() })
	return j
}

func TestContract(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, keep int) hub.Journal {
		return open(t, journal.Options{Limits: journal.Limits{Messages: keep}})
	})
}
