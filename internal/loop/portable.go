package loop

import (
	"context"
	"net"
	"sync"
	"time"
)

// Portable runs each connection on two goroutines: one reads, one writes. One more goroutine
// ticks for all connections.
type Portable struct {
	opts Options // immutable

	mu     sync.Mutex
	conns  map[*conn]struct{} // guarded by mu
	closed bool               // guarded by mu
	past   Stats              // guarded by mu: the statistics of the connections that have ended

	cutReason error // guarded by mu; set by Shutdown's deadline: new connections are ended at once with this error

	running sync.WaitGroup // one for each writer; each writer waits for its reader
	stop    chan struct{}  // ends the ticker; Shutdown closes it
	ticked  chan struct{}  // says that the ticker has ended; the ticker closes it
}

// NewPortable starts a loop without connections. Shutdown ends it.
func NewPortable(o Options) *Portable {
	l := &Portable{
		opts:   o.withDefaults(),
		conns:  make(map[*conn]struct{}),
		stop:   make(chan struct{}),
		ticked: make(chan struct{}),
	}
	go l.tick()
	return l
}

// Serve takes over a connection and returns at once. early has the bytes that were already read
// from it. open makes the session. Serve calls open before it returns, and open may pass on the
// Conn that it gets. If Serve returns false, the loop has been shut down and the caller still owns
// the connection.
func (l *Portable) Serve(nc net.Conn, early []byte, open func(Conn) Session) bool {
	c := &conn{
		loop:     l,
		nc:       nc,
		raw:      nc,
		wake:     make(chan struct{}, 1),
		readable: make(chan struct{}, 1),
		readDone: make(chan struct{}),
	}
	if layered, ok := nc.(interface{ NetConn() net.Conn }); ok {
		c.raw = layered.NetConn()
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.running.Add(1)
	l.mu.Unlock()
	defer func() {
		if c.session == nil { // open has panicked
			l.running.Done()
		}
	}()
	c.session = open(c)
	l.mu.Lock()
	l.conns[c] = struct{}{}
	reason := l.cutReason
	l.mu.Unlock()
	go c.read(early)
	go c.write()
	if reason != nil {
		c.end(reason)
	}
	return true
}

// Shutdown waits until all connections have ended. The sessions must end them. If ctx ends first,
// Shutdown ends the remaining connections at once and returns ctx's error.
func (l *Portable) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()

	ended := make(chan struct{}) // the goroutine below closes it when no connection is left
	go func() {
		l.running.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		l.mu.Lock()
		l.cutReason = err
		l.mu.Unlock()
		l.each(func(c *conn) { c.end(err) })
		<-ended
	}
	close(l.stop)
	<-l.ticked
	return err
}

// Stats may be called from any goroutine. It visits every connection.
func (l *Portable) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.past
	s.Connections = len(l.conns)
	now := int64(elapsed(time.Now()))
	for c := range l.conns {
		s.add(&c.traffic)
		if since := c.blocked.Load(); since != 0 && now-since > int64(blockedAfter) {
			s.Blocked++
		}
	}
	return s
}

// blockedAfter is how long a write must last before Stats counts it as blocked. Most writes return
// at once.
const blockedAfter = 10 * time.Millisecond

// tick is the goroutine that ticks for all connections. It calls the sessions' Tick, and finds the
// writes that make no progress. A deadline for each write would cost more than most writes.
func (l *Portable) tick() {
	defer close(l.ticked)
	ticker := time.NewTicker(l.opts.Tick)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			l.each(func(c *conn) { c.tick(now) })
		case <-l.stop:
			return
		}
	}
}

// each calls f for all connections.
func (l *Portable) each(f func(*conn)) {
	l.mu.Lock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		f(c)
	}
}
