package bench

import (
	"net/netip"
	"time"
)

// A transport has the sockets. All methods are called from one goroutine; times are since the base it was made with.
type transport interface {
	// dial starts to open connection i from a local address, if that is valid. The handler is told how it ends.
	dial(i int, local netip.Addr) error
	// write writes what the socket takes and returns how much that was; if not all, writable follows.
	write(i int, b []byte) int
	// set says what is wanted of connection i.
	set(i int, m mode)
	// wait tells the handler what has happened, until something has or it is time.
	wait(until time.Duration, h handler) error
	// shutdown closes everything.
	shutdown()
}

// A handler is told what happens to connections, from within wait.
type handler interface {
	connected(i int)
	received(i int, b []byte) // b is free for reuse afterwards
	writable(i int)
	gone(i int, err error) // io.EOF: in order
}

// mode is what is wanted of a connection.
type mode int

const (
	reading mode = iota // what comes is received
	silent              // nothing is read: the peer finds the way blocked
	closed              // the connection is given up
)

// bufferSize is what one read takes at most, in bytes.
const bufferSize = 256 << 10
