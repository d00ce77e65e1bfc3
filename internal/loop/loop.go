// Package loop moves bytes between connections and whoever owns their meaning, and
// knows nothing of that meaning: no WebSocket, no room, no HTTP.
//
// Each connection has a [Session]. The loop reads into Feed, writes what Due returns,
// and calls all of a session's methods one at a time, so a session needs no lock.
// There is one writer per connection, and no queue in front of it: when a connection is
// woken or its socket takes more, the session is asked what is due.
//
// [Portable] is the implementation that runs everywhere, and the one to read first. On Linux
// [Lanes] does the same without a goroutine or a buffer for each connection. [New] chooses; the
// build tag portable makes it choose Portable on Linux too.
package loop

import (
	"errors"
	"time"
)

// began is any moment, from which the others are counted.
var began = time.Now()

// elapsed is when t was by a clock that nobody sets: the one on the wall may jump, and ends no
// connection by it.
func elapsed(t time.Time) time.Duration { return t.Sub(began) }

// ErrSlow ends a connection to which no byte could be written for Options.SlowTimeout.
var ErrSlow = errors.New("loop: nothing could be written for too long")

// ErrPanicked ends a connection whose session has panicked.
var ErrPanicked = errors.New("loop: the session panicked")

// A Session is what a connection means. Its methods are called one at a time.
//
// A panic in one of them, or in what was posted, ends this connection alone: see Panicked.
type Session interface {
	Feeder
	Source
	// Tick is called every Options.Tick or so; all of a session's timers live in it. An
	// error ends the connection at once.
	Tick(now time.Time) error
	// Panicked is told what another method has panicked with, between two writes. Before
	// it only Wrote is called, for the write that stood, behind it only Closed. What it
	// returns is written, if it can be within a second, and then the connection ends as
	// after io.EOF. A panic in Closed it is told of behind that; then it returns for nobody.
	Panicked(v any, stack []byte) []byte
	// Closed is the last call, unless it panics: the connection is gone. err is nil if the source came to
	// its end, io.EOF if the peer went first, or what went wrong.
	Closed(err error)
}

// lastWords asks a session for what Panicked returns, unless that panics as well.
func lastWords(s Session, v any, stack []byte) (last []byte, ok bool) {
	defer func() {
		if recover() != nil {
			last, ok = nil, false
		}
	}()
	last = s.Panicked(v, stack)
	return last, len(last) > 0
}

// A Feeder takes what the peer has sent.
type Feeder interface {
	// Feed takes bytes, which it may change and must not keep. After an error nothing more
	// is read until the source has ended.
	Feed(b []byte) error
	// Paused stops the reading. It is asked before each read and after each wake-up.
	Paused() bool
}

// A Source has what the peer is to be sent.
type Source interface {
	// Due appends to bufs what is to be written now, in this order, and none that is empty; the
	// bytes stay as they are until Wrote. Nothing means wait for the next wake-up. io.EOF means
	// that this is the end: the loop half-closes, drains what the peer still sends for a second,
	// and closes. Any other error ends the connection at once.
	Due(bufs [][]byte) ([][]byte, error)
	// Wrote says how many of those bytes have been written; it may be said in several calls.
	Wrote(n int)
}

// A Conn is a session's handle on its connection. Its methods never block and do nothing
// once the connection is gone.
type Conn interface {
	// Wake makes the loop ask the session what is due. Any goroutine may call it.
	Wake()
	// Post runs f where the session's methods run, then asks what is due. Any goroutine may
	// call it.
	Post(f func())
	// WakeAfter is Wake once d has passed. It is called where the session's methods run.
	WakeAfter(d time.Duration)
	// Follow puts the connection among those that wait for the same thing, such as the growth
	// of one log: what it returns wakes them, and any number of others with the same key at
	// the same time. A connection follows one key, the last. It is called where the session's
	// methods run; what it returns may be used from any goroutine.
	Follow(key any) Waker
}

// A Waker is woken from any goroutine and does not block. It is one that can be a map's key.
type Waker = interface{ Wake() }

// Options configure a loop. The zero value takes the defaults.
type Options struct {
	SlowTimeout time.Duration // see ErrSlow; 0: 5 s
	Tick        time.Duration // 0: 250 ms
}

// drainTimeout is how long a half-closed connection is read from, so that the peer gets
// our last bytes and not the reset that unread input would cause.
const drainTimeout = time.Second

// maxDrain is how much is read of it meanwhile, in bytes: all of a large message that is on its
// way, but not what a peer pours in for as long as it may.
const maxDrain = 16 << 20

func (o Options) withDefaults() Options {
	if o.SlowTimeout <= 0 {
		o.SlowTimeout = 5 * time.Second
	}
	if o.Tick <= 0 {
		o.Tick = 250 * time.Millisecond
	}
	return o
}
