package bench

import (
	"math"
	"testing"
	"time"
)

// Percentiles are right to a thousandth, whatever the order and however far apart.
func TestHistogram(t *testing.T) {
	h := newHistogram()
	for i := 10_000; i > 0; i-- { // 1 ms to 10 s
		h.record(time.Duration(i) * time.Millisecond)
	}
	got := h.summary()
	for _, tt := range []struct {
		name      string
		got, want float64 // µs
	}{
		{"p50", got.P50, 5_000_000}, {"p90", got.P90, 9_000_000}, {"p99", got.P99, 9_900_000},
		{"p99.9", got.P999, 9_990_000}, {"max", got.Max, 10_000_000}, {"mean", got.Mean, 5_000_500},
	} {
		if math.Abs(tt.got-tt.want) > tt.want/1000 {
			t.Errorf("%s = %.0f µs, want %.0f", tt.name, tt.got, tt.want)
		}
	}
	if got.Count != 10_000 {
		t.Errorf("count %d, want 10000", got.Count)
	}
}

// Nothing is dropped for being out of range: a clock that goes back a little, and a server that takes an hour.
func TestHistogramBounds(t *testing.T) {
	h := newHistogram()
	h.record(-time.Millisecond)
	h.record(time.Hour)
	if got := h.summary(); got.Count != 2 || got.P50 > 1 || got.Max < us(longest)*0.999 {
		t.Errorf("%+v, want a count of 2, no time at all and the longest", got)
	}
}

// Recording costs nothing that a delivery would show.
func TestHistogramAllocates(t *testing.T) {
	h := newHistogram()
	if n := testing.AllocsPerRun(100, func() { h.record(time.Millisecond) }); n != 0 {
		t.Errorf("%g allocations to record, want 0", n)
	}
}
