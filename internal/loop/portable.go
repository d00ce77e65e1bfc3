package loop

import (
	"context"
	"net"
	"sync"
	"time"
)

// Portable runs each connection on two goroutines: one reads, one writes. One more
// ticks for all of them.
type Portable struct {
	opts Options // immutable

	mu     sync.Mutex
	conns  map[*conn]struct{} // guarded by mu
	closed bool               // guarded by mu
	cut    error              // guarded by mu: why connections are no longer waited for
	gone   Stats              // guarded by mu: what the connections that have ended have moved

	running sync.WaitGroup // the writers, each of which waits for its reader
	stop    chan struct{}  // ends the ticker; Shutdown closes it
	ticked  chan struct{}  // the ticker has ended; it closes it
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

// Serve takes a connection over and returns at once. early is what has already been
// read from it. open makes the session; it is called before Serve returns, and from its
// call on the handle may be used. False means that the loop has been shut down: the
// connection is still the caller's.
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
	cut := l.cut
	l.mu.Unlock()
	go c.read(early)
	go c.write()
	if cut != nil {
		c.end(cut)
	}
	return true
}

// Shutdown waits until all connections have ended, which their sessions must bring
// about, or until ctx ends: then it cuts them off and returns ctx's error.
func (l *Portable) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()

	ended := make(chan struct{}) // closed when no connection is left
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
		l.cut = err
		l.mu.Unlock()
		l.each(func(c *conn) { c.end(err) })
		<-ended
	}
	close(l.stop)
	<-l.ticked
	return err
}

// Stats may be called from any goroutine. It looks at every connection.
func (l *Portable) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.gone
	s.Connections = len(l.conns)
	now := int64(elapsed(time.Now()))
	for c := range l.conns {
		s.add(&c.traffic)
		// A write in progress is a standing one if it has lasted: most are over at once.
		if since := c.blocked.Load(); since != 0 && now-since > int64(standing) {
			s.Blocked++
		}
	}
	return s
}

// standing is how long a write must have lasted to be counted as blocked.
const standing = 10 * time.Millisecond

// tick is the one clock of all connections: the sessions' timers, and the search for
// writes that make no progress. A deadline for each write would cost more than most
// writes.
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
