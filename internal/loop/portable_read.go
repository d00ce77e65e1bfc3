package loop

import "time"

const (
	smallRead = 4 << 10  // size of the buffer of an idle connection
	largeRead = 64 << 10 // size of the largest buffer of a busy connection
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
		switch { // adapt the buffer to the traffic, so that a large message does not need a call for every 4 KiB
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
	switch {
	case c.phase.discards():
		c.drained += len(b)
	case c.phase == open:
		c.call(func() {
			if c.session.Feed(b) != nil {
				c.phase = refused
			}
		})
	}
	c.mu.Unlock()
	signal(c.wake)
}

// mayRead waits until the connection may be read from. If it returns false, the reader must end.
func (c *conn) mayRead() bool {
	for {
		c.mu.Lock()
		read, end := false, false
		switch {
		case c.phase == open:
			c.call(func() { read = !c.session.Paused() })
		case c.phase.discards():
			read = c.drained < maxDrain
			end = !read && time.Now().After(c.drainEnd) // not before drainEnd, because the peer may still be reading our last bytes
		case c.phase == ended:
			end = true
		}
		c.mu.Unlock()
		if read || end {
			return read
		}
		<-c.readable
	}
}

// lost handles the end of the peer's bytes. That is not an error if the session has ended first.
func (c *conn) lost(err error) {
	c.mu.Lock()
	ours := c.phase.discards()
	c.mu.Unlock()
	if !ours {
		c.end(err)
	}
}
