package loop

import "golang.org/x/sys/unix"

// A connection ends when the session has sent everything, the peer has closed, an operation has
// failed, the session has panicked, or the deadline of Shutdown has passed.

// An ending is a connection that has ended, with the reason. Its descriptor is still open, and its
// session has not been told yet.
type ending struct {
	conn *laneConn
	err  error
}

// lost handles the end of the peer's bytes. That is not an error if the session has ended first.
func (c *laneConn) lost(err error) {
	if c.phase.discards() {
		c.endDrained()
		return
	}
	c.end(err)
}

// drain half-closes, and begins to discard what the peer still sends. The phase becomes to, which
// is draining or parting.
func (c *laneConn) drain(to phase) {
	c.phase = to
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		c.endDrained()
		return
	}
	c.lane.drains.add(c)
	c.setInterest(readable)
}

// cutOff ends the connection because the deadline of Shutdown has passed.
func (c *laneConn) cutOff(reason error) {
	if c.phase.discards() {
		c.endDrained()
		return
	}
	c.end(reason)
}

// endDrained ends a connection that is draining or parting.
func (c *laneConn) endDrained() {
	if c.phase == parting {
		c.end(ErrPanicked)
		return
	}
	c.end(nil)
}

// end takes the connection out of the lane. closeEnded does the rest at the end of the turn.
func (c *laneConn) end(err error) {
	if c.phase == ended {
		return
	}
	l := c.lane
	c.phase = ended
	c.setInterest(0)
	c.unfollow()
	l.moved.Connections--
	l.slots.remove(c)
	l.endings = append(l.endings, ending{c, err})
}

// endPanicked ends the connection whose session has panicked. It writes the last words first if the
// socket takes them at once.
func (l *lane) endPanicked(v any, stack []byte) {
	c := l.current
	l.current = nil
	switch {
	case c == nil:
		panic(v) // the panic came from the loop itself and not from a session
	case c.phase == ended: // Closed has panicked
		lastWords(c.session, v, stack)
	case c.phase.discards():
		c.end(ErrPanicked)
	default:
		c.phase = panicked
		if last, ok := lastWords(c.session, v, stack); ok {
			if n, errno := l.send(int(c.fd), [][]byte{last}); errno == 0 && n == len(last) {
				c.drain(parting)
				return
			}
		}
		c.end(ErrPanicked)
	}
}

// closeEnded closes the descriptors of the connections that have ended, and tells their sessions.
func (l *lane) closeEnded() {
	for len(l.endings) > 0 {
		last := len(l.endings) - 1
		e := l.endings[last]
		l.endings[last] = ending{}
		l.endings = l.endings[:last]
		l.close(e)
	}
}

func (l *lane) close(e ending) {
	defer l.loop.running.Done()
	unix.Close(int(e.conn.fd))
	l.current = e.conn
	e.conn.session.Closed(e.err)
	l.current = nil
}

// cutOff ends all connections. Connections that begin later are ended at once.
func (l *lane) cutOff(reason error) {
	l.cutReason = reason
	for i := range l.slots.all {
		if c := l.slots.all[i].conn; c != nil {
			c.cutOff(reason)
		}
	}
}
