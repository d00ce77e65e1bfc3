package main

import (
	"fmt"
	"math"
	"slices"
)

// figures has the medians of one run over all rounds.
type figures struct {
	CPUPerDelivery  float64 `json:"cpu_per_delivery_us,omitempty"`
	CPUPerHandshake float64 `json:"cpu_per_handshake_us,omitempty"`
	PerSecond       float64 `json:"deliveries_per_s,omitempty"`
	Bytes           float64 `json:"payload_bytes_per_s,omitempty"`
	P50             float64 `json:"p50_us,omitempty"`
	P99             float64 `json:"p99_us,omitempty"`
	LastReceiver    float64 `json:"last_receiver_p50_us,omitempty"`
	PerConnection   float64 `json:"rss_per_connection,omitempty"`
	OwnCPU          float64 `json:"generator_cpu,omitempty"` // cores used by the load generator; near 1, the generator limits the figures
	Broken          string  `json:"broken,omitempty"`        // the promises that were broken in the first round with a broken promise
}

func mediansOf(rounds []round, label string) (f figures) {
	of := func(figure func(*report) float64) float64 {
		var values []float64
		for _, r := range rounds {
			values = append(values, figure(r[label]))
		}
		return math.Round(median(values)*1000) / 1000
	}
	f = figures{
		CPUPerDelivery: of(cpuPerDelivery), CPUPerHandshake: of(cpuPerHandshake), PerSecond: of(func(r *report) float64 { return r.PerSecond }),
		Bytes: of(bytesPerSecond), PerConnection: of(func(r *report) float64 { return r.Server.PerConnection }),
		OwnCPU: of(func(r *report) float64 { return r.OwnCPU }),
	}
	if len(rounds[0][label].Groups) > 0 {
		f.P50, f.P99, f.LastReceiver = of(func(r *report) float64 { return r.Groups[0].Delivery.P50 }), of(p99), of(lastReceiver)
	}
	for _, r := range rounds {
		if broken := r[label].Broken; len(broken) > 0 {
			f.Broken = broken[0]
			break
		}
	}
	return f
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// String returns the line that is shown during the measurement.
func (r *report) String() string {
	s := fmt.Sprintf("%8.2f µs/handshake", r.Server.CPUPerHandshake)
	if len(r.Groups) == 0 {
		return s + fmt.Sprintf("  %8.0f bytes per connection", r.Server.PerConnection)
	}
	s += fmt.Sprintf("  %7.3f µs/delivery  %9.0f/s  p50 %8.2f ms  p99 %8.2f ms  last %8.2f ms  generator %3.0f %%", r.Server.CPUPerDelivery, r.PerSecond,
		r.Groups[0].Delivery.P50/1e3, r.Groups[0].Delivery.P99/1e3, lastReceiver(r)/1e3, 100*r.OwnCPU)
	if len(r.Broken) > 0 {
		s += "  " + r.Broken[0]
	}
	return s
}
