package loop

import (
	"errors"
	"io"
	"net"
	"os"
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
	wake     chan struct{} // capacity 1: ask what is due; anyone sends, never closed
	readable chan struct{} // capacity 1: a paused reader may look again; anyone sends, never closed
	readDone chan struct{} // the reader closes it

	mu       sync.Mutex // serialises the session's methods
	session  Session    // guarded by mu
	refused  bool       // guarded by mu: Feed wants no more
	draining bool       // guarded by mu: what is read is thrown away
	closed   bool       // guarded by mu: the session has had its last call
	err      error      // guarded by mu: why the connection ended, if it was not the source

	postMu sync.Mutex
	posted []func() // guarded by postMu

	blocked atomic.Int64 // since when the write in progress has made no progress, Unix nanoseconds; 0: no write
}

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

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // one waiting signal is enough
	}
}

// end closes the socket, which both goroutines notice.
func (c *conn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.nc.Close()
	signal(c.wake)
	signal(c.readable)
}

func (c *conn) tick(now time.Time) {
	c.mu.Lock()
	var err error
	if !c.closed {
		err = c.session.Tick(now)
	}
	c.mu.Unlock()
	signal(c.readable)
	if err != nil {
		c.end(err)
		return
	}
	// A write that has stood for a whole tick is interrupted, so that the writer can see
	// whether any of it went out.
	if since := c.blocked.Load(); since != 0 && now.UnixNano()-since >= int64(c.loop.opts.Tick) {
		c.nc.SetWriteDeadline(time.Unix(1, 0))
	}
}

// write is the writer goroutine. It asks the session what is due, writes it, and waits
// to be woken when there is nothing.
func (c *conn) write() {
	defer c.loop.running.Done()
	var bufs [][]byte
	for {
		c.mu.Lock()
		err := c.err
		ours := err == nil
		if ours {
			c.runPosted()
			bufs, err = c.session.Due(bufs[:0])
		}
		c.mu.Unlock()
		signal(c.readable)
		switch {
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

// writeAll writes bufs in one system call if the socket takes them, and tells the
// session. It returns after every interruption, so that the session may have its say.
func (c *conn) writeAll(bufs [][]byte) error {
	start := time.Now()
	if c.blocked.Load() == 0 {
		c.blocked.Store(start.UnixNano())
	}
	rest := net.Buffers(bufs)
	n, err := rest.WriteTo(c.nc)
	clear(bufs)
	c.mu.Lock()
	c.session.Wrote(int(n))
	c.mu.Unlock()
	switch {
	case err == nil:
		c.blocked.Store(0)
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	c.nc.SetWriteDeadline(time.Time{})
	now := time.Now().UnixNano()
	if n > 0 {
		c.blocked.Store(now)
	} else if now-c.blocked.Load() >= int64(c.loop.opts.SlowTimeout) {
		return ErrSlow
	}
	return nil
}

// drain half-closes, if the socket can, and lets the reader throw away what still comes
// for a moment.
func (c *conn) drain() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.end(io.EOF)
		return
	}
	c.mu.Lock()
	c.draining = true
	c.mu.Unlock()
	c.nc.SetReadDeadline(time.Now().Add(drainTimeout))
	signal(c.readable)
	<-c.readDone
}

// finish gives everything back.
func (c *conn) finish(err error) {
	c.nc.Close()
	signal(c.readable)
	<-c.readDone
	c.loop.mu.Lock()
	delete(c.loop.conns, c)
	c.loop.mu.Unlock()
	c.mu.Lock()
	c.closed = true
	c.session.Closed(err)
	c.mu.Unlock()
}

const (
	smallRead = 4 << 10  // what an idle connection holds
	largeRead = 64 << 10 // what a busy one may grow to
)

// read is the reader goroutine.
func (c *conn) read(early []byte) {
	defer close(c.readDone)
	if len(early) > 0 {
		c.feed(early)
	}
	buf := make([]byte, smallRead)
	for c.mayRead() {
		n, err := c.nc.Read(buf)
		if n > 0 {
			c.feed(buf[:n])
		}
		if err != nil {
			c.lost(err)
			return
		}
		switch { // follow the traffic, so that a large message does not take a call for every 4 KiB
		case n == len(buf) && n < largeRead:
			buf = make([]byte, 2*n)
		case n <= smallRead/2 && len(buf) > smallRead:
			buf = make([]byte, smallRead)
		}
	}
}

func (c *conn) feed(b []byte) {
	c.mu.Lock()
	if !c.draining && !c.refused && c.err == nil {
		c.refused = c.session.Feed(b) != nil
	}
	c.mu.Unlock()
	signal(c.wake)
}

// mayRead waits while the session is paused or wants no more. False means that the
// connection has ended.
func (c *conn) mayRead() bool {
	for {
		c.mu.Lock()
		ended := c.err != nil
		read := c.draining || !c.refused && !c.session.Paused()
		c.mu.Unlock()
		if ended || read {
			return !ended
		}
		<-c.readable
	}
}

// lost reports the end of the stream, unless the end was ours.
func (c *conn) lost(err error) {
	c.mu.Lock()
	ours := c.draining
	c.mu.Unlock()
	if !ours {
		c.end(err)
	}
}
