package chat

import "testing"

// The sample has a small part of many sessions, and some of few.
func TestTimedSample(t *testing.T) {
	m := new(sample)
	timed := 0
	for range 10_000 {
		if m.choose() {
			timed++
		}
	}
	if timed < 100 || timed > 200 {
		t.Errorf("%d of 10,000 are timed, want about 1 in 64", timed)
	}
	for range 9_990 {
		m.end(timed > 0)
		timed--
	}
	if m.timed.Load() != 0 || !m.choose() {
		t.Errorf("%d of 10 are timed, and a newcomer is not, want it to be", m.timed.Load())
	}
}
