package journal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// BenchmarkAppend measures how many messages come back acknowledged, and how late, with so many under way at once: beside the
// journal in memory.
func BenchmarkAppend(b *testing.B) {
	for _, window := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("memory/%d", window), func(b *testing.B) {
			benchmarkAppend(b, hub.NewMemory(hub.MemoryOptions{Messages: 1000}), window)
		})
		b.Run(fmt.Sprintf("embedded/%d", window), func(b *testing.B) {
			j, err := Open(Options{Dir: b.TempDir(), Limits: hub.Limits{Messages: 1000}})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Stop()
			benchmarkAppend(b, j, window)
		})
	}
}

func benchmarkAppend(b *testing.B, j hub.Journal, window int) {
	back := make(chan hub.Entry, window) // deliver sends, never closed
	if _, err := j.Open("r", func(e hub.Entry) { back <- e }); err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 64)
	began := make([]time.Time, 0, b.N) // of each message, in order
	late := make([]time.Duration, 0, b.N)
	say := func() {
		began = append(began, time.Now())
		j.Append("r", &hub.Message{Payload: payload, At: 1})
	}
	b.ResetTimer()
	for range min(window, b.N) {
		say()
	}
	for range b.N {
		if e := <-back; e.Err != nil {
			b.Fatal(e.Err)
		}
		late = append(late, time.Since(began[len(late)]))
		if len(began) < b.N {
			say()
		}
	}
	b.StopTimer()
	slices.Sort(late)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-µs")
}
