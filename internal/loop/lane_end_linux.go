package loop

import "golang.org/x/sys/unix"

// The end of a connection: of its source, of the stream, or of the patience with it.

// lost is the end of the stream, which is no error if ours came first.
func (c *laneConn) lost(err error) {
	if c.draining {
		c.endDrained()
		return
	}
	c.end(err)
}

// drain half-closes, and throws away what still comes for a moment.
func (c *laneConn) drain() {
	c.draining = true
	c.unblock()
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		c.endDrained()
		return
	}
	c.lane.timers.add(c, drainTimeout, true)
	c.attend()
}

// cut ends the connection because nobody waits for it any more.
func (c *laneConn) cut() {
	if c.draining {
		c.endDrained()
		return
	}
	c.end(c.lane.cut)
}

// endDrained ends a connection whose source had ended.
func (c *laneConn) endDrained() {
	if c.broken {
		c.end(ErrPanicked)
		return
	}
	c.end(nil)
}

// end gives the place up. The rest comes at the end of the turn.
func (c *laneConn) end(err error) {
	if c.gone {
		return
	}
	c.gone = true
	c.unfollow()
	c.unblock()
	l := c.lane
	l.moved.Connections--
	l.slots[c.slot].conn = nil
	l.slots[c.slot].generation++
	l.free = append(l.free, c.slot)
	l.ended = append(l.ended, ended{c, err})
}
