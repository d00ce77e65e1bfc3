package bench

import (
	"net/netip"
	"time"
)

// A transport owns the sockets. All methods are called from one goroutine. It measures times from the base that it was made with.
type transport interface {
	// dial begins to open connection i, from a local address if that is valid. The handler learns the result.
	dial(i int, local netip.Addr) error
	// write writes as many bytes as the socket takes, and returns how many. If bytes are left, it calls writable of the handler later.
	write(i int, b []byte) int
	// set changes the mode of connection i.
	set(i int, m mode)
	// wait waits until an event happens or a time is reached, and calls the handler for each event.
	wait(until time.Duration, h handler) error
	// shutdown closes everything.
	shutdown()
}

// A handler learns what happens to the connections. wait calls its methods.
type handler interface {
	connected(i int)
	received(i int, b []byte) // b may be reused when received has returned
	writable(i int)
	gone(i int, err error) // err is io.EOF if the peer closed the connection in an orderly way
}

// mode is how the transport treats a connection.
type mode int

const (
	reading mode = iota // bytes are read and passed to the handler
	silent              // nothing is read, so that the peer soon cannot send any more
	closed              // the socket is closed
)

// bufferSize is the most that one read takes, in bytes.
const bufferSize = 256 << 10
