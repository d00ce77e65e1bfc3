package main

import "fmt"

// points prints the conditions of each scenario, and their outcomes.
func (r *results) points() {
	fmt.Println("| load | measured | median | goal | |\n|---|---|---|---|---|")
	for _, name := range []string{"rate", "flood", "big", "idle", "handshake", "large", "stalled", "rooms", "lanes"} {
		s := r.Scenarios[name]
		for _, p := range s.Points {
			sign, verdict := "≤", "held"
			if p.AtMin {
				sign = "≥"
			}
			if !p.Held {
				verdict = "**falls short**"
			}
			fmt.Printf("| %s | %s | %s | %s %.4g | %s |\n", s.Title, p.What, digits(p.Median), sign, p.Bound, verdict)
		}
	}
}

// everybody prints a line for each server.
func (r *results) everybody() {
	fmt.Println("| | 1,000 clients × 50/s: CPU per delivery, last receiver | flood: CPU per delivery (deliveries/s) | 10,000 clients × 5/s: CPU per delivery, last receiver " +
		"| memory per idle connection | CPU per handshake |\n|---|---|---|---|---|---|")
	for _, look := range looks {
		rate := r.Scenarios["rates"].Medians[look.label+"@50"]
		flood := r.Scenarios["others"].Medians[look.label+"@flood"]
		big := r.Scenarios["sizes"].Medians[look.label+"@10000"]
		idle := r.Scenarios["others"].Medians[look.label+"@idle"]
		name := look.label
		if name == "doyasa" {
			name = "**doyasa**"
		}
		fmt.Printf("| %s | %.1f µs, %.1f ms | %.2f µs (%.2f M) | %.1f µs, %.0f ms | %.1f KiB | %.0f µs |\n", name, rate.CPUPerDelivery, rate.LastReceiver/1e3,
			flood.CPUPerDelivery, flood.PerSecond/1e6, big.CPUPerDelivery, big.LastReceiver/1e3, idle.PerConnection/1024, idle.CPUPerHandshake)
	}
}

// digits writes v with three digits, or with all digits before the point if these are more.
func digits(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
