// Package loop moves bytes between sockets and sessions. A session knows what the bytes mean;
// this package must not: no WebSocket, no room, no HTTP.
//
// Each connection has a [Session]. The loop passes what it reads to Feed, writes what Due returns,
// and calls all of a session's methods one at a time, so a session needs no lock. A connection has
// one writer and no outbound queue: when it is woken, or its socket takes more, the loop asks the
// session what is due.
//
// [Portable] runs on every system and is the implementation to read first. On Linux, [Lanes] does
// the same without a goroutine or a buffer for each connection. [New] chooses between them; with
// the build tag portable it chooses Portable on Linux too.
package loop

import (
	"errors"
	"time"
)

// began is the reference point for monotonic times stored as a Duration (8 bytes instead of 24).
var began = time.Now()

// elapsed returns the time from began to t by the monotonic clock, so that a change of the wall
// clock does not close any connection.
func elapsed(t time.Time) time.Duration { return t.Sub(began) }

// ErrSlow ends a connection to which no byte could be written for Options.SlowTimeout.
var ErrSlow = errors.New("loop: nothing could be written for too long")

// ErrPanicked ends a connection whose session has panicked.
var ErrPanicked = errors.New("loop: the session panicked")

// A Session is what a connection means to the program. Its methods are called one at a time.
//
// A panic in a method, or in a function given to Conn.Post, ends this connection and no other; see
// Panicked.
type Session interface {
	Feeder
	Source
	Lifecycle
}

// A Feeder takes the bytes that the peer has sent.
type Feeder interface {
	// Feed takes bytes. It may change them and must not keep them. After Feed has returned an error,
	// nothing more is read until Due has returned io.EOF.
	Feed(b []byte) error
	// Paused tells whether the loop must not read now. It is called before each read and after each
	// wake-up.
	Paused() bool
}

// A Source provides the bytes that are sent to the peer.
type Source interface {
	// Due appends to bufs the bytes to write now, in order and without empty slices. The bytes must
	// not change until Wrote has reported them. If Due appends nothing, the loop calls it again after
	// the next wake-up. io.EOF means that everything has been sent: the loop half-closes, discards
	// what the peer still sends for a second, and closes. Any other error ends the connection at once.
	Due(bufs [][]byte) ([][]byte, error)
	// Wrote reports that the first n of those bytes have been written. Several calls may report
	// the bytes of one Due.
	Wrote(n int)
}

// A Lifecycle learns how time passes and how the connection ends.
type Lifecycle interface {
	// Tick is called about once every Options.Tick, until Due has returned io.EOF. Sessions use it as
	// their timer. The loop does not call Due after it; use Conn.Wake for that. An error ends the
	// connection at once.
	Tick(now time.Time) error
	// Panicked is called once after another method panicked, never during a write. An unfinished
	// write is reported with Wrote first; afterwards only Closed is called. The bytes it returns
	// are written within one second, then the connection ends as after io.EOF. If Closed itself
	// panics, Panicked is called and its result ignored.
	Panicked(v any, stack []byte) []byte
	// Closed is the last call, unless Closed panics (see Panicked). err is nil if Due had returned
	// io.EOF, io.EOF if the peer closed first, and otherwise the error that ended the connection.
	Closed(err error)
}

// lastWords returns the result of s.Panicked. ok is false if the result is empty or if Panicked
// panics as well.
func lastWords(s Session, v any, stack []byte) (last []byte, ok bool) {
	defer func() {
		if recover() != nil {
			last, ok = nil, false
		}
	}()
	last = s.Panicked(v, stack)
	return last, len(last) > 0
}

// A Conn is a session's handle on its connection. Its methods never block. Once the connection has
// ended, they do nothing.
type Conn interface {
	// Wake makes the loop ask the session what is due. Any goroutine may call it.
	Wake()
	// Post makes the loop run f as if it were a method of the session, and then ask the session
	// what is due. Any goroutine may call it.
	Post(f func())
	// Follow adds the connection to the group of all connections that wait for the same key, for
	// example for the same log to grow. The returned Waker wakes the whole group at once. A connection
	// follows only one key, so it leaves the group of its previous key. Only the session's methods may
	// call Follow. Any goroutine may use the Waker.
	Follow(key any) Waker
}

// A Waker may be called from any goroutine, does not block, and may be used as the key of a map.
type Waker = interface{ Wake() }

// Options configure a loop. A zero field takes its default.
type Options struct {
	SlowTimeout time.Duration // see ErrSlow; default 5 s
	Tick        time.Duration // default 250 ms
}

// drainTimeout is how long the loop still reads from a half-closed connection. Closing a socket
// with unread input resets the connection, and the peer would lose our last bytes.
const drainTimeout = time.Second

// maxDrain limits how many bytes are read and discarded in that time. It is enough for a large
// message that is on its way, but not for everything that a hostile peer can send.
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

// A phase is how far a connection has come. It only moves down in this table.
//
//	phase     reads         writes       may be called
//	open      unless Paused what is due  all methods but Panicked and Closed; posted functions
//	refused   no            what is due  the same without Feed and Paused: Feed has failed
//	panicked  no            last words   Panicked, after Wrote for a write in progress
//	draining  and discards  no           nothing: Due has returned io.EOF; Closed(nil) follows
//	parting   and discards  no           nothing: last words are written; Closed(ErrPanicked) follows
//	ended     no            no           Closed, after Wrote for a write in progress
type phase uint8

const (
	open phase = iota
	refused
	panicked
	draining
	parting
	ended
)

// discards tells whether the bytes that are read are thrown away.
func (p phase) discards() bool { return p == draining || p == parting }

// serves tells whether the loop still asks the session what is due.
func (p phase) serves() bool { return p <= refused }
