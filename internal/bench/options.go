package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Options say what to do. There are no defaults here; those of the command line are its own.
type Options struct {
	Address  string        // host:port of the server
	Path     string        // of its WebSocket endpoint
	V1       bool          // speak doyasa.v1; else raw
	Groups   []Group       // one at least
	Size     int           // bytes of a message, MinSize at least
	Idle     bool          // connect, say nothing, look at the server's memory
	Duration time.Duration // of what is measured
	WarmUp   time.Duration // the same load before, judged but not measured
	Sources  []netip.Addr  // local addresses, used in turn; none: the system's choice
	PID      int           // of the server's process; 0: who listens on the port of this machine
	Joined   bool          // a message may hold several of ours, joined by newlines

	portable bool          // goroutines instead of the system's event queue: tests see what other systems have
	patience time.Duration // how long nothing may move before a phase is given up; 0: 10 s; tests have less

	Progress func(Progress) // called a few times a second from Run's goroutine; nil: nobody is interested
}

// A Group is a number of rooms of one kind.
type Group struct {
	Rooms    int
	Members  int     // of each room
	Senders  int     // of each room, of its members
	Rate     float64 // messages a second in each room, by its senders in turn; 0 with InFlight
	InFlight int     // flood: each sender always has so many under way; 0 with Rate
	Stalled  int     // members of the first room who stop reading once all are there
}

const (
	// MinSize is the least a message can be, in bytes: its head.
	MinSize = headLen

	maxSenders = 1 << 24
	tags       = 1 << 12
)

// Check says what makes no sense.
func (o *Options) Check() error {
	if len(o.Groups) == 0 {
		return errors.New("no rooms")
	}
	if o.Size < MinSize {
		return fmt.Errorf("messages of %d bytes: %d is the least, for what finds loss and measures time", o.Size, MinSize)
	}
	if o.Duration <= 0 || o.WarmUp < 0 {
		return errors.New("the duration must be above zero")
	}
	senders := 0
	for _, g := range o.Groups {
		switch {
		case g.Rooms < 1 || g.Members < 1:
			return errors.New("rooms and their members: one at least")
		case g.Senders < 1 || g.Senders > g.Members-g.Stalled:
			return fmt.Errorf("%d senders in a room of %d members, %d of them stalled", g.Senders, g.Members, g.Stalled)
		case g.Stalled < 0:
			return errors.New("stalled members: zero at least")
		case !o.Idle && (g.Rate > 0) == (g.InFlight > 0):
			return errors.New("either a rate or a flood")
		case g.Rate < 0 || g.InFlight < 0:
			return errors.New("a rate or a flood: above zero")
		}
		senders += g.Rooms * g.Senders
	}
	if senders >= maxSenders-1 {
		return fmt.Errorf("more than %d senders", maxSenders-2)
	}
	return nil
}

// Progress is how far a run has come.
type Progress struct {
	Phase      string
	Elapsed    time.Duration // since the run began
	Open, Want int           // connections
	Sent       int64         // messages that are measured
	Arrived    int64         // deliveries of all messages
	PerSecond  float64       // deliveries since the last call
	Faults     int64
}

const progressInterval = 250 * time.Millisecond

func (r *run) progress(now time.Duration) {
	if now-r.printed.at < progressInterval {
		return
	}
	r.watch()
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{
			Phase: r.phase, Elapsed: now, Open: r.open, Want: len(r.conns), Sent: r.sent, Arrived: r.arrived,
			PerSecond: float64(r.arrived-r.printed.arrived) / (now - r.printed.at).Seconds(), Faults: r.faults.total(),
		})
	}
	r.printed.at, r.printed.arrived = now, r.arrived
}
