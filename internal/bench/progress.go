package bench

import (
	"fmt"
	"time"
)

// The phases of a run, in order. A run with idle connections has only the first and the last.
const (
	phaseConnecting = "connecting"               // until every handshake is answered
	phaseJoining    = "joining"                  // until every connection receives what its room says
	phaseWarmingUp  = "warming up"               // the load is on, but is not measured yet
	phaseMeasuring  = "measuring"                // the load is on and is measured
	phaseSettling   = "settling"                 // until all messages that were sent have arrived
	phaseStalled    = "asking the stalled"       // until it is known which of the stalled connections the server has closed
	phaseIdle       = "holding idle connections" // no messages are sent, and memory is measured
)

// Progress says how far a run has come.
type Progress struct {
	Phase      string
	Elapsed    time.Duration // since the run began
	InPhase    time.Duration // since the phase began
	Length     time.Duration // how long the phase lasts; 0 when that depends on the server
	Open, Want int           // connections that are open, and that there will be
	Sent       int64         // measured messages
	Arrived    int64         // deliveries of all messages
	Expected   int64         // deliveries owed for all messages sent so far
	PerSecond  float64       // deliveries a second since the last call
	Faults     int64
}

// String is one line, such as "   4s  measuring 2 s of 10 s  1,000 connections  50,000 deliveries/s".
func (p Progress) String() string {
	s := fmt.Sprintf("%4.0fs  %s", p.Elapsed.Seconds(), p.Phase)
	switch {
	case p.Length > 0:
		s += fmt.Sprintf(" %.0f s of %.0f s", min(p.InPhase, p.Length).Seconds(), p.Length.Seconds())
	case p.Phase == phaseConnecting:
		return s + fmt.Sprintf(" %s of %s", group3(int64(p.Open)), group3(int64(p.Want)))
	case p.Phase == phaseSettling:
		s += fmt.Sprintf(" %s of %s deliveries", group3(p.Arrived), group3(p.Expected))
	}
	s += fmt.Sprintf("  %s", plural(p.Open, "connection"))
	if p.Open < p.Want {
		s += fmt.Sprintf(" of %s", group3(int64(p.Want)))
	}
	if p.PerSecond > 0 {
		s += fmt.Sprintf("  %s deliveries/s", group3(int64(p.PerSecond)))
	}
	if p.Faults > 0 {
		s += fmt.Sprintf("  %s FAULTS", group3(p.Faults))
	}
	return s
}

// shown is what the last call of Options.Progress reported.
type shown struct {
	at      time.Duration
	arrived int64
}

const progressInterval = 250 * time.Millisecond

// enter begins a phase. length is 0 if it is not known how long the phase lasts.
func (r *run) enter(phase string, length time.Duration) {
	now := r.now()
	r.phase, r.phaseAt, r.phaseLength = phase, now, length
	r.show(now)
}

// progress reports how far the run has come, unless it did so a moment ago.
func (r *run) progress(now time.Duration) {
	if now-r.shown.at >= progressInterval {
		r.show(now)
	}
}

func (r *run) show(now time.Duration) {
	r.watch()
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{
			Phase: r.phase, Elapsed: now, InPhase: now - r.phaseAt, Length: r.phaseLength, Open: r.open, Want: len(r.conns), Sent: r.sent,
			Arrived: r.arrived, Expected: r.expected, PerSecond: float64(r.arrived-r.shown.arrived) / max(now-r.shown.at, 1).Seconds(),
			Faults: r.faults.total(),
		})
	}
	r.shown = shown{now, r.arrived}
}
