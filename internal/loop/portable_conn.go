package loop

import (
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is one connection of a Portable. The writer goroutine is the one that ends the connection.
// The reader goroutine runs until the socket is closed or has been drained.
type conn struct {
	// Immutable.
	loop     *Portable
	nc       net.Conn
	raw      net.Conn      // the connection under nc if nc is TLS; otherwise nc
	wake     chan struct{} // capacity 1; tells the writer to ask what is due; anyone sends, never closed
	readable chan struct{} // capacity 1; tells a paused reader to look again; anyone sends, never closed
	readDone chan struct{} // says that the reader has ended; the reader closes it

	mu       sync.Mutex // serialises the session's methods
	session  Session    // guarded by mu
	phase    phase      // guarded by mu
	drained  int        // guarded by mu: while draining: how many bytes were discarded
	drainEnd time.Time  // guarded by mu: while draining: when draining must end
	err      error      // guarded by mu: the first error that end was called with
	broken   *breakdown // guarded by mu: set once, when the session panics

	postMu sync.Mutex
	posted []func() // guarded by postMu

	blocked atomic.Int64 // when the write in progress began or last made progress, as the time since began; 0 if no write is in progress
	traffic traffic
}

// A breakdown is the value with which a session has panicked.
type breakdown struct {
	value any
	stack []byte
}

// traffic is counted by the connection's own goroutines and read by Stats.
type traffic struct{ reads, readBytes, writes, writtenBytes atomic.Int64 }

// Wake implements Conn.
func (c *conn) Wake() { signal(c.wake) }

// Post implements Conn.
func (c *conn) Post(f func()) {
	c.postMu.Lock()
	c.posted = append(c.posted, f)
	c.postMu.Unlock()
	signal(c.wake)
}

// Follow implements Conn. Waking a group means waking the goroutine of each connection in it, so
// Portable needs no groups.
func (c *conn) Follow(any) Waker { return c }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // a signal waits already, and one is enough
	}
}

// call runs f, which calls a method of the session. It is called with mu held. If f panics, the
// writer ends this connection, and the other connections continue.
func (c *conn) call(f func()) {
	defer func() {
		if v := recover(); v != nil && c.broken == nil {
			c.broken = &breakdown{v, debug.Stack()}
			c.phase = max(c.phase, panicked)
			c.wakeAll()
		}
	}()
	f()
}

func (c *conn) wakeAll() {
	signal(c.wake)
	signal(c.readable)
}

// end closes the socket, so that both goroutines end. It does not send close_notify on a TLS
// connection, because that may wait for the peer.
func (c *conn) end(err error) {
	c.mu.Lock()
	if c.phase != ended {
		c.phase, c.err = ended, err
	}
	c.mu.Unlock()
	c.raw.Close()
	c.wakeAll()
}

func (c *conn) tick(now time.Time) {
	c.mu.Lock()
	var err error
	if c.phase.serves() {
		c.call(func() { err = c.session.Tick(now) })
	}
	c.mu.Unlock()
	signal(c.readable)
	if err != nil {
		c.end(err)
		return
	}
	blocked := time.Duration(0)
	if since := c.blocked.Load(); since != 0 {
		blocked = elapsed(now) - time.Duration(since)
	}
	switch {
	case c.layered():
		if blocked >= c.loop.opts.SlowTimeout {
			c.end(ErrSlow)
		}
	case blocked >= c.loop.opts.Tick:
		// Interrupt a write that has been blocked for a whole tick, so that the writer learns whether a
		// part of it was written.
		c.nc.SetWriteDeadline(time.Unix(1, 0))
	}
}

// layered tells whether nc is TLS. A TLS connection cannot be used any more after a write was
// interrupted.
func (c *conn) layered() bool { return c.raw != c.nc }

// discard makes the reader discard the bytes that it reads. The phase becomes to, which is draining
// or parting. It is called with mu held.
func (c *conn) discard(to phase) {
	c.phase = max(c.phase, to)
	c.drainEnd = time.Now().Add(drainTimeout)
}

// drain half-closes if the socket can, and waits while the reader discards what the peer still
// sends.
func (c *conn) drain() {
	half := func(nc net.Conn) bool {
		closer, ok := nc.(interface{ CloseWrite() error })
		return ok && closer.CloseWrite() == nil
	}
	if !half(c.nc) || c.layered() && !half(c.raw) {
		c.end(nil)
		return
	}
	c.raw.SetReadDeadline(time.Now().Add(drainTimeout))
	signal(c.readable)
	<-c.readDone
}

// finish releases everything that the connection has, and tells the session why the connection
// ended.
func (c *conn) finish(err error) {
	c.end(err)
	<-c.readDone
	c.loop.mu.Lock()
	delete(c.loop.conns, c)
	c.loop.past.add(&c.traffic)
	c.loop.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			lastWords(c.session, v, debug.Stack())
		}
	}()
	c.session.Closed(err)
}
