package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts durations from a microsecond to ten minutes, with a precision of three digits.
type histogram struct{ h *hdrhistogram.Histogram }

const longest = 10 * time.Minute

func newHistogram() *histogram {
	return &histogram{hdrhistogram.New(int64(time.Microsecond), int64(longest), 3)}
}

// record counts one duration. A duration outside of the range counts as the nearest one inside.
func (h *histogram) record(d time.Duration) {
	h.h.RecordValue(int64(min(max(d, 0), longest)))
}

// Latency is a summary of durations, in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	Max   float64 `json:"max_us"`
}

func (h *histogram) summary() Latency {
	at := func(p float64) float64 { return float64(h.h.ValueAtPercentile(p)) / 1e3 }
	return Latency{
		Count: h.h.TotalCount(), Mean: h.h.Mean() / 1e3,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.h.Max()) / 1e3,
	}
}
