package loop

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// write is the writer goroutine. It asks the session what is due, writes it, and waits
// to be woken when there is nothing.
func (c *conn) write() {
	defer c.loop.running.Done()
	var bufs [][]byte
	for {
		var err error // the error that Due returned
		c.mu.Lock()
		if c.phase.serves() {
			c.call(func() {
				c.runPosted()
				bufs, err = c.session.Due(bufs[:0])
			})
			if err == io.EOF {
				c.discard(draining)
			}
		}
		phase, broken, reason := c.phase, c.broken, c.err
		c.mu.Unlock()
		signal(c.readable)
		switch {
		case broken != nil:
			c.part(broken)
			return
		case phase == ended:
			c.finish(reason)
			return
		case err == io.EOF:
			c.drain()
			c.finish(nil)
			return
		case err != nil:
			c.finish(err)
			return
		case len(bufs) == 0:
			c.blocked.Store(0) // the session may no longer want to send what was blocked
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

// part ends the connection of a session that has panicked. It writes the last words first if it
// can.
func (c *conn) part(b *breakdown) {
	c.mu.Lock()
	last, _ := lastWords(c.session, b.value, b.stack)
	c.mu.Unlock()
	c.blocked.Store(0)
	c.nc.SetWriteDeadline(time.Now().Add(drainTimeout))
	if _, err := c.nc.Write(last); err != nil {
		c.end(err)
	} else {
		c.mu.Lock()
		c.discard(parting)
		c.mu.Unlock()
		c.drain()
	}
	c.finish(ErrPanicked)
}

// writeAll writes bufs, in one system call if the socket takes them, and tells the session.
// It also returns when tick has interrupted it, so that the session can change what is due.
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

// tlsRecord is the largest number of bytes in one TLS record (RFC 8446 §5.1).
const tlsRecord = 16 << 10

// writeRecords writes bufs over TLS, one record at a time. Each record must go out within
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
