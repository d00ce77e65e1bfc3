package loop

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A conn is one connection. The writer goroutine owns its end; the reader goroutine
// lives until the socket is closed or drained.
type conn struct {
	// Immutable.
	loop     *Portable
	nc       net.Conn
	raw      net.Conn      // what nc stands on, if that is TLS; else nc
	wake     chan struct{} // capacity 1: ask what is due; anyone sends, never closed
	readable chan struct{} // capacity 1: a paused reader may look again; anyone sends, never closed
	readDone chan struct{} // the reader closes it

	mu       sync.Mutex // serialises the session's methods
	session  Session    // guarded by mu
	refused  bool       // guarded by mu: Feed wants no more
	draining bool       // guarded by mu: what is read is thrown away
	drained  int        // guarded by mu: bytes of that
	drainEnd time.Time  // guarded by mu: when it ends
	closed   bool       // guarded by mu: the session has had its last call
	broken   *breakdown // guarded by mu: the session has panicked
	err      error      // guarded by mu: why the connection ended, if it was not the source

	postMu sync.Mutex
	posted []func() // guarded by postMu

	blocked atomic.Int64 // since when the write in progress has made no progress, as elapsed counts; 0: no write
	traffic traffic
}

// A breakdown is what a session has panicked with.
type breakdown struct {
	value any
	stack []byte
}

// traffic is counted by the connection's own goroutines and read by Stats.
type traffic struct{ reads, readBytes, writes, writtenBytes atomic.Int64 }

// Wake implements Conn.
func (c *conn) Wake() {
	signal(c.wake)
}

// Post implements Conn.
func (c *conn) Post(f func()) {
	c.postMu.Lock()
	c.posted = append(c.posted, f)
	c.postMu.Unlock()
	signal(c.wake)
}

// WakeAfter implements Conn.
func (c *conn) WakeAfter(d time.Duration) { time.AfterFunc(d, c.Wake) }

// Follow implements Conn. A goroutine is woken for each connection anyway.
func (c *conn) Follow(any) Waker { return c }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one waiting signal is enough
	}
}

// call runs f, which calls a method of the session, with mu held. If f panics, the
// writer ends the connection, and nobody else's.
func (c *conn) call(f func()) {
	defer func() {
		if v := recover(); v != nil && c.broken == nil {
			c.broken = &breakdown{v, debug.Stack()}
			c.wakeAll()
		}
	}()
	f()
}

func (c *conn) wakeAll() {
	signal(c.wake)
	signal(c.readable)
}

// end closes the socket, which both goroutines notice. A TLS connection is not closed
// its own way: that may wait for the peer.
func (c *conn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.raw.Close()
	c.wakeAll()
}

func (c *conn) tick(now time.Time) {
	c.mu.Lock()
	var err error
	if !c.closed && c.broken == nil {
		c.call(func() { err = c.session.Tick(now) })
	}
	c.mu.Unlock()
	signal(c.readable)
	if err != nil {
		c.end(err)
		return
	}
	stood := time.Duration(0)
	if since := c.blocked.Load(); since != 0 {
		stood = elapsed(now) - time.Duration(since)
	}
	switch {
	case c.layered():
		if stood >= c.loop.opts.SlowTimeout {
			c.end(ErrSlow)
		}
	case stood >= c.loop.opts.Tick:
		// A write that has stood for a whole tick is interrupted, so that the writer can see
		// whether any of it went out.
		c.nc.SetWriteDeadline(time.Unix(1, 0))
	}
}

// layered tells that nc is TLS, which a write that was interrupted makes useless.
func (c *conn) layered() bool { return c.raw != c.nc }

// write is the writer goroutine. It asks the session what is due, writes it, and waits
// to be woken when there is nothing.
func (c *conn) write() {
	defer c.loop.running.Done()
	var bufs [][]byte
	for {
		c.mu.Lock()
		err := c.err
		ours := err == nil
		if ours && c.broken == nil {
			c.call(func() {
				c.runPosted()
				bufs, err = c.session.Due(bufs[:0])
			})
		}
		broken := c.broken
		c.mu.Unlock()
		signal(c.readable)
		switch {
		case ours && broken != nil:
			c.part(broken)
			return
		case err == io.EOF && ours:
			c.drain()
			c.finish(nil)
			return
		case err != nil:
			c.end(err)
			c.finish(err)
			return
		case len(bufs) == 0:
			c.blocked.Store(0) // what stood may no longer be due
			<-c.wake
			continue
		}
		if err := c.writeAll(bufs); err != nil {
			c.end(err)
		}
		clear(bufs)
	}
}

func (c *conn) runPosted() {
	c.postMu.Lock()
	posted := c.posted
	c.posted = nil
	c.postMu.Unlock()
	for _, f := range posted {
		f()
	}
}

// part ends the connection of a session that has panicked, with its last words if they
// can be written.
func (c *conn) part(b *breakdown) {
	var last []byte
	c.mu.Lock()
	c.call(func() { last = c.session.Panicked(b.value, b.stack) })
	c.mu.Unlock()
	c.blocked.Store(0)
	c.nc.SetWriteDeadline(time.Now().Add(drainTimeout))
	if _, err := c.nc.Write(last); err != nil {
		c.end(err)
	} else {
		c.drain()
	}
	c.finish(ErrPanicked)
}

// writeAll writes bufs in one system call if the socket takes them, and tells the
// session. It returns after every interruption, so that the session may have its say.
func (c *conn) writeAll(bufs [][]byte) error {
	if c.layered() {
		return c.writeRecords(bufs)
	}
	if c.blocked.Load() == 0 {
		c.blocked.Store(int64(elapsed(time.Now())))
	}
	rest := net.Buffers(bufs)
	n, err := rest.WriteTo(c.nc)
	c.wrote(int(n))
	switch {
	case err == nil:
		c.blocked.Store(0)
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	c.nc.SetWriteDeadline(time.Time{})
	now := int64(elapsed(time.Now()))
	if n > 0 {
		c.blocked.Store(now)
	} else if now-c.blocked.Load() >= int64(c.loop.opts.SlowTimeout) {
		return ErrSlow
	}
	return nil
}

// tlsRecord is the most that one record of TLS carries, in bytes (RFC 8446 §5.1).
const tlsRecord = 16 << 10

// writeRecords writes bufs over TLS, a record at a time, each of which must go out within
// SlowTimeout; see tick.
func (c *conn) writeRecords(bufs [][]byte) error {
	defer c.blocked.Store(0)
	for _, b := range bufs {
		for len(b) > 0 {
			c.blocked.Store(int64(elapsed(time.Now())))
			n, err := c.nc.Write(b[:min(len(b), tlsRecord)])
			c.wrote(n)
			if err != nil {
				return err
			}
			b = b[n:]
		}
	}
	return nil
}

func (c *conn) wrote(n int) {
	if n > 0 {
		c.traffic.writes.Add(1)
		c.traffic.writtenBytes.Add(int64(n))
	}
	c.mu.Lock()
	c.call(func() { c.session.Wrote(n) })
	c.mu.Unlock()
}

// drain half-closes, if the socket can, and lets the reader throw away what still comes
// for a moment.
func (c *conn) drain() {
	half := func(nc net.Conn) bool {
		closer, ok := nc.(interface{ CloseWrite() error })
		return ok && closer.CloseWrite() == nil
	}
	if !half(c.nc) || c.layered() && !half(c.raw) {
		c.end(io.EOF)
		return
	}
	end := time.Now().Add(drainTimeout)
	c.mu.Lock()
	c.draining, c.drainEnd = true, end
	c.mu.Unlock()
	c.raw.SetReadDeadline(end)
	signal(c.readable)
	<-c.readDone
}

// finish gives everything back.
func (c *conn) finish(err error) {
	c.raw.Close()
	signal(c.readable)
	<-c.readDone
	c.loop.mu.Lock()
	delete(c.loop.conns, c)
	c.loop.gone.add(&c.traffic)
	c.loop.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	c.tell(err)
	c.mu.Unlock()
}

// tell calls the session's Closed, and has a panic in it told. Called with mu held.
func (c *conn) tell(err error) {
	defer func() {
		if v := recover(); v != nil {
			lastWords(c.session, v, debug.Stack())
		}
	}()
	c.session.Closed(err)
}
