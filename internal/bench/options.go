package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Options say what a run does. There are no defaults here: the command line has them.
type Options struct {
	Address  string        // host:port of the server
	Path     string        // path of the server's WebSocket endpoint
	V1       bool          // speak doyasa.v1 instead of raw
	Groups   []Group       // at least one
	Size     int           // bytes of a message, at least MinSize
	Idle     bool          // connect, send nothing, and measure the server's memory
	Duration time.Duration // how long the measurement lasts
	WarmUp   time.Duration // how long the same load lasts before the measurement; its messages are checked, but are not in the figures
	Sources  []netip.Addr  // local addresses, used in turn; if there are none, the system chooses
	PID      int           // id of the server's process; 0 means the process that listens on the port, if that is on this machine
	Joined   bool          // the server may join several messages in one, with newlines between them

	portable bool          // use goroutines instead of epoll, as on other systems; for tests
	patience time.Duration // a phase is given up after this time without progress; 0 means 10 s; tests set less

	Progress func(Progress) // called at the beginning of each phase and a few times a second, from the goroutine of Run; may be nil
}

// A Group is a number of rooms of one kind.
type Group struct {
	Rooms    int
	Members  int     // members of each room
	Senders  int     // how many members of each room send messages
	Rate     float64 // messages a second in each room, sent by its senders in turn; 0 if InFlight is set
	InFlight int     // in a flood, how many messages of each sender are always on their way; 0 if Rate is set
	Stalled  int     // members of the first room that stop reading after all have joined
}

const (
	// MinSize is the length of the shortest message in bytes: its head.
	MinSize = headLen

	maxSenders = 1 << 24
	tags       = 1 << 12
)

// Check returns an error for options that contradict each other.
func (o *Options) Check() error {
	if len(o.Groups) == 0 {
		return errors.New("there must be a room")
	}
	if o.Size < MinSize {
		return fmt.Errorf("messages of %d bytes: the shortest have %d bytes, which the checks and the clock need", o.Size, MinSize)
	}
	if o.Duration <= 0 || o.WarmUp < 0 {
		return errors.New("the duration must be above zero")
	}
	senders := 0
	for _, g := range o.Groups {
		switch {
		case g.Rooms < 1 || g.Members < 1:
			return errors.New("there must be at least one room, with at least one member")
		case g.Senders < 1 || g.Senders > g.Members-g.Stalled:
			return fmt.Errorf("%d senders in a room of %d members, of which %d stop reading: at least one member must send, and senders must read", g.Senders, g.Members, g.Stalled)
		case g.Stalled < 0:
			return errors.New("the number of stalled members must not be negative")
		case !o.Idle && (g.Rate > 0) == (g.InFlight > 0):
			return errors.New("give either a rate or a flood")
		case g.Rate < 0 || g.InFlight < 0:
			return errors.New("a rate or a flood must be above zero")
		}
		senders += g.Rooms * g.Senders
	}
	if senders >= maxSenders-1 {
		return fmt.Errorf("more than %d senders", maxSenders-2)
	}
	return nil
}
