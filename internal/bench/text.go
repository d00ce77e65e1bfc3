package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people, one aligned line for each figure.
func (rep *Report) WriteText(w io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-15s%s\n", name, fmt.Sprintf(format, args...))
	}
	row("connected", "%s in %.2f s (%s a second)", group3(int64(rep.Connections)), rep.ConnectTime, group3(int64(float64(rep.Connections)/rep.ConnectTime)))
	if len(rep.Groups) > 0 {
		row("sent", "%s messages", group3(rep.Sent))
		row("delivered", "%s, %s a second, %s/s of payload", group3(rep.Deliveries), group3(int64(rep.PerSecond)), bytesText(rep.Bytes))
	}
	for _, g := range rep.Groups {
		if len(rep.Groups) > 1 {
			row(plural(g.Rooms, "room"), "of %s", plural(g.Members, "member"))
		}
		row("latency", "%s", g.Delivery.text())
		row("last receiver", "%s", g.LastReceiver.text())
	}
	if s := rep.Server; s != nil {
		row("server", "process %d, %s", s.PID, s.Name)
		if s.CPUPerDelivery > 0 {
			row("  CPU", "%.2f µs per delivery, %.0f %% of a core; %.1f µs per handshake", s.CPUPerDelivery, 100*s.CPU, s.CPUPerHandshake)
		} else {
			row("  CPU", "%.1f %% of a core; %.1f µs per handshake", 100*s.CPU, s.CPUPerHandshake)
		}
		row("  memory", "%s before, %s now, %s at most; %s per connection",
			bytesText(float64(s.RSSEmpty)), bytesText(float64(s.RSSEnd)), bytesText(float64(s.RSSPeak)), bytesText(s.PerConnection))
	}
	if rep.Stalled > 0 {
		row("stalled", "%d connections stopped reading, the server closed %d of these", rep.Stalled, rep.StalledGone)
	}
	if rep.Faults.Foreign > 0 {
		row("others", "%s messages that this run did not send", group3(rep.Faults.Foreign))
	}
	if rep.OwnCPU > 0.9 && len(rep.Groups) > 0 {
		row("note", "this load generator used %.0f %% of a core: it may be what limits the figures", 100*rep.OwnCPU)
	}
	if rep.Interrupted {
		row("note", "interrupted: the figures are of the time until then")
	}
	if len(rep.Broken) > 0 {
		row("BROKEN", "%s", strings.Join(rep.Broken, "\n"+strings.Repeat(" ", 15)))
	} else if len(rep.Groups) > 0 {
		row("promises", "kept: nothing lost, doubled, damaged or out of order; one order for all (%s)", rep.OrderHash)
	} else {
		row("promises", "kept: every connection is still there")
	}
}

// text returns one line of percentiles.
func (l Latency) text() string {
	if l.Count == 0 {
		return "none measured"
	}
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", timeText(l.P50), timeText(l.P90), timeText(l.P99), timeText(l.P999), timeText(l.Max))
}

// timeText writes microseconds with three digits, 9 characters wide.
func timeText(us float64) string {
	unit := "µs"
	switch {
	case us >= 1e6:
		us, unit = us/1e6, "s "
	case us >= 1e3:
		us, unit = us/1e3, "ms"
	}
	return fmt.Sprintf("%6s %s", digits(us), unit)
}

// bytesText writes bytes with three digits.
func bytesText(n float64) string {
	unit := "B"
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if n < 1024 && n > -1024 {
			break
		}
		n, unit = n/1024, u
	}
	return digits(n) + " " + unit
}

// digits writes v with three digits, or with all digits before the point if these are more.
func digits(v float64) string {
	switch abs := max(v, -v); {
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return group3(int64(n)) + " " + what
}
