// Package conntest has connections in memory for tests. Like TCP connections they have bounded
// buffers, half-close, deadlines and partial writes. All calls that wait are durably blocking, so
// that testing/synctest can tell when nothing happens any more. The package must not know what
// the bytes mean.
package conntest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pair returns the two ends of a connection that buffers up to capacity bytes in each direction.
func Pair(capacity int) (a, b *Conn) {
	ab, ba := newStream(capacity), newStream(capacity)
	a = &Conn{in: ba, out: ab, local: address(1), remote: address(2)}
	b = &Conn{in: ab, out: ba, local: address(2), remote: address(1)}
	return a, b
}

func address(host byte) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, host), Port: 4000 + int(host)}
}

// A Conn is one end of a connection. It implements net.Conn, and CloseWrite like net.TCPConn.
type Conn struct {
	in, out       *stream // immutable
	local, remote net.Addr
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write implements net.Conn. If the deadline ends it, a part of b may have been written.
func (c *Conn) Write(b []byte) (int, error) { return c.out.write(b) }

// CloseWrite ends this direction. The peer can still read what has been written, and then gets
// io.EOF.
func (c *Conn) CloseWrite() error { return c.out.finish() }

// Close implements net.Conn. The peer can still read what has been written.
func (c *Conn) Close() error {
	c.out.finish()
	c.in.abandon()
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.readers, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writers, t) }

// A stream is one direction of a connection.
type stream struct {
	capacity int // immutable

	mu       sync.Mutex // guards the fields below
	changed  *sync.Cond
	buf      []byte
	finished bool // the writer has closed the stream, and the bytes in buf can still be read
	gone     bool // the reader has closed the stream, and nothing more can be written
	readers  deadline
	writers  deadline
}

type deadline struct {
	timer  *time.Timer
	passed bool
}

func newStream(capacity int) *stream {
	s := &stream{capacity: capacity}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.gone:
			return 0, net.ErrClosed
		case s.readers.passed:
			return 0, os.ErrDeadlineExceeded
		case len(s.buf) > 0:
			n := copy(b, s.buf)
			s.buf = append(s.buf[:0], s.buf[n:]...)
			s.changed.Broadcast()
			return n, nil
		case s.finished:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.finished:
			return n, net.ErrClosed
		case s.gone:
			return n, syscall.EPIPE
		case s.writers.passed:
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if k := min(len(b), s.capacity-len(s.buf)); k > 0 {
			s.buf = append(s.buf, b[:k]...)
			n, b = n+k, b[k:]
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

func (s *stream) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || s.gone {
		return net.ErrClosed
	}
	s.finished = true
	s.writers.stop()
	s.changed.Broadcast()
	return nil
}

func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.readers.stop()
	s.changed.Broadcast()
}

func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.stop()
	d.passed = !t.IsZero() && !time.Now().Before(t)
	if !t.IsZero() && !d.passed {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if d.timer == timer {
				d.passed = true
				s.changed.Broadcast()
			}
		})
		d.timer = timer
	}
	s.changed.Broadcast()
	return nil
}

// stop stops the timer. It is called with the stream's mu held.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// A Listener accepts the connections that Dial makes.
type Listener struct {
	capacity int
	accept   chan net.Conn // carries the connections; Dial sends; never closed
	closed   chan struct{} // says that the listener is closed; Close closes it
	once     sync.Once
}

// NewListener returns a Listener whose connections have the given capacity; see Pair.
func NewListener(capacity int) *Listener {
	return &Listener{capacity: capacity, accept: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial makes a connection. When Accept has taken one end, Dial returns the other end.
func (l *Listener) Dial() (*Conn, error) {
	ours, theirs := Pair(l.capacity)
	select {
	case l.accept <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return address(2) }
