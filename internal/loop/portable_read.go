package loop

import "time"

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
	c.traffic.reads.Add(1)
	c.traffic.readBytes.Add(int64(len(b)))
	c.mu.Lock()
	if c.draining {
		c.drained += len(b)
	} else if !c.refused && c.err == nil && c.broken == nil {
		c.call(func() { c.refused = c.session.Feed(b) != nil })
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
		read := c.draining && c.drained < maxDrain
		if c.draining && !read && time.Now().After(c.drainEnd) {
			ended = true // until now the peer could take our last bytes
		}
		if !ended && !c.draining && !c.refused && c.broken == nil {
			c.call(func() { read = !c.session.Paused() })
		}
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
