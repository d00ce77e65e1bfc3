package main

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	acceptLogEvery = time.Second          // the shortest time between two lines about connections that cannot be accepted
	firstPause     = 5 * time.Millisecond // how long Accept waits after the first failure; each further failure doubles the time
	longestPause   = time.Second
)

// A steadyListener tries again after an accept that failed for a temporary reason: the process has no descriptor or memory left, a packet
// filter refused the connection, or the client has disconnected already. For most of these errors net/http would end the server. Accept
// returns only errors of the listening socket itself.
type steadyListener struct {
	net.Listener
	log    zerolog.Logger // immutable: the log that acceptLog returned
	closed chan struct{}  // carries nothing; Close closes it
	once   sync.Once      // for Close
}

func newSteadyListener(l net.Listener, log zerolog.Logger) *steadyListener {
	return &steadyListener{Listener: l, log: log, closed: make(chan struct{})}
}

// acceptLog returns a log that writes at most one line every acceptLogEvery. All listeners of a process share it. The limit is needed
// because, while descriptors are short, anyone can cause a failing accept, and so a line, by connecting and disconnecting.
func acceptLog(log zerolog.Logger) zerolog.Logger {
	return log.Sample(&zerolog.BurstSampler{Burst: 1, Period: acceptLogEvery})
}

// Accept waits for a connection. Only the goroutine of one http.Server calls it.
func (l *steadyListener) Accept() (net.Conn, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		nc, err := l.Listener.Accept()
		if err == nil || isFinal(err) {
			return nc, err
		}
		l.log.Error().Err(err).Msg("cannot accept connections; trying again")
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-l.closed:
			again.Stop()
			return nil, net.ErrClosed
		}
	}
}

func (l *steadyListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// isFinal reports whether an accept failed because the listening socket is closed or cannot be used at all.
func isFinal(err error) bool {
	for _, final := range []error{net.ErrClosed, syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EFAULT} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}
