//go:build linux

package journal

import (
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// A room at its limit stores a trim for many messages together, and not one for each batch.
func TestTrimsAreFew(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir, hub.Limits{Messages: 10})
	s := newSender(t, j)
	for range 1000 {
		if err := s.say(10); err != nil {
			t.Fatal(err)
		}
	}
	stop(t, j)
	trims := 0
	if _, err := seglog.Scan(dir, func(b []byte) error {
		if rec, err := parseRecord(b); err == nil && rec.kind == kindTrim {
			trims++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := 990/trimAfter + 2; trims == 0 || trims > want {
		t.Errorf("%d trims for 990 messages, want at most %d", trims, want)
	}
}
