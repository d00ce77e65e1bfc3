package loop

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A laneConn is one connection of a lane. It is kept small, because most connections are idle.
type laneConn struct {
	// Immutable.
	lane    *lane
	session Session
	fd      int32

	woken atomic.Bool // the lane will flush this connection; see Wake

	// Owned by the lane.
	slot     uint32
	place    int32 // position in group.members
	since    stamp // while blocked: when the socket last took a byte
	drained  int32 // while draining: how many bytes were discarded
	group    *group
	interest uint8 // the events that epoll reports: readable, writable
	phase    phase
}

const (
	maxWrites = 8        // writes to one connection before others get their turn,
	maxBurst  = 32 << 10 // unless they reach this number of bytes earlier
	readable  = unix.EPOLLIN
	writable  = unix.EPOLLOUT
	failed    = unix.EPOLLERR | unix.EPOLLHUP
)

// Wake implements Conn. woken stays set until the lane takes the task, so further calls of Wake add
// no task. woken is also set while the connection begins and while it is fed, because the lane
// flushes it afterwards without a task.
func (c *laneConn) Wake() {
	if !c.woken.Load() && !c.woken.Swap(true) {
		c.lane.put(task{conn: c})
	}
}

// Post implements Conn.
func (c *laneConn) Post(f func()) { c.lane.put(task{conn: c, run: f}) }

// begin gives the connection its slot, and feeds it the bytes that were read from the socket
// earlier.
func (c *laneConn) begin(early []byte) {
	l := c.lane
	l.slots.add(c)
	l.moved.Connections++
	c.interest = readable
	if err := c.control(unix.EPOLL_CTL_ADD); err != nil {
		c.end(err)
		return
	}
	if len(early) > 0 {
		c.feed(early)
	}
	if l.cutReason != nil {
		c.cutOff(l.cutReason)
	}
}

// control tells epoll which events to report.
func (c *laneConn) control(op int) error {
	ev := unix.EpollEvent{Events: uint32(c.interest), Fd: int32(c.slot), Pad: int32(c.lane.slots.generation(c))}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.lane.fd, op, int(c.fd), &ev))
}

// setInterest changes the events that epoll reports. A connection counts as blocked exactly while
// epoll reports when its socket is writable, so a blocked connection cannot miss that event.
func (c *laneConn) setInterest(interest uint8) {
	if interest == c.interest {
		return
	}
	before := c.blocked()
	c.interest = interest
	switch {
	case c.blocked() && !before:
		c.lane.moved.Blocked++
	case before && !c.blocked():
		c.lane.moved.Blocked--
	}
	if c.phase == ended {
		return // closing the descriptor removes it from epoll
	}
	if err := c.control(unix.EPOLL_CTL_MOD); err != nil {
		c.end(err)
	}
}

// updateInterest makes epoll report readable bytes, or stops that, depending on whether the
// connection is to be read from now.
func (c *laneConn) updateInterest() {
	if c.reads() {
		c.setInterest(c.interest | readable)
	} else {
		c.setInterest(c.interest &^ readable)
	}
}

// reads tells whether the connection is to be read from.
func (c *laneConn) reads() bool {
	if c.phase == open {
		return !c.session.Paused()
	}
	return c.phase.discards() && c.drained < maxDrain
}

// blocked tells whether the socket was full after the last write.
func (c *laneConn) blocked() bool { return c.interest&writable != 0 }

// block notes that the socket is full. progress tells whether the socket took some bytes before.
func (c *laneConn) block(progress bool) {
	if progress || !c.blocked() {
		c.since = stampOf(time.Now())
	}
	c.setInterest(c.interest | writable)
}

// unblock notes that no bytes wait for the socket.
func (c *laneConn) unblock() { c.setInterest(c.interest &^ writable) }

// ready handles the events that epoll reports.
func (c *laneConn) ready(events uint32) {
	if events&(readable|failed) != 0 {
		switch {
		case c.reads():
			c.receive()
		case events&failed != 0: // a reset: otherwise epoll would report it in every turn
			c.end(syscall.ECONNRESET)
		}
	}
	c.flushInTurn()
	c.updateInterest()
}

// receive reads once. If there are more bytes, epoll reports the socket again.
func (c *laneConn) receive() {
	l := c.lane
	n, errno := receive(int(c.fd), l.read)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
	case errno != 0:
		c.lost(os.NewSyscallError("read", errno))
	case n == 0:
		if c.waits() { // the peer may have half-closed and still wait for an answer
			c.flush()
		}
		c.lost(io.EOF)
	case c.phase.discards():
		l.count(n)
		c.drained += int32(n)
	default:
		queued := c.woken.Swap(true)
		c.feed(l.read[:n])
		if !queued {
			c.woken.Store(false)
		}
	}
}

func (c *laneConn) feed(b []byte) {
	c.lane.count(len(b))
	if c.session.Feed(b) != nil {
		c.phase = refused
	}
}

// count adds a read of n bytes to the statistics.
func (l *lane) count(n int) {
	l.moved.Reads++
	l.moved.ReadBytes += int64(n)
}

// flush writes what is due until the socket is full, or until others must get their turn.
func (c *laneConn) flush() {
	if !c.phase.serves() {
		return
	}
	l := c.lane
	written := 0
	for writes := 0; writes < maxWrites && written < maxBurst; writes++ {
		bufs, err := c.session.Due(l.bufs[:0])
		switch {
		case err == io.EOF:
			c.drain(draining)
			return
		case err != nil:
			c.end(err)
			return
		case len(bufs) == 0: // if the connection was blocked, the session no longer wants to send what was blocked
			c.unblock()
			return
		}
		n, full, err := c.write(bufs)
		switch {
		case err != nil:
			c.end(err)
			return
		case full:
			c.block(n > 0)
			return
		}
		written += n
	}
	c.unblock()
	if c.group != nil && c.group.next != nil { // More may be due. A task could run only after the sweep.
		c.group.retry(c)
	} else {
		c.Wake()
	}
}

// write writes bufs, or the first maxBuffers of them, and tells the session how much the socket
// took. full means that it did not take everything.
func (c *laneConn) write(bufs [][]byte) (n int, full bool, err error) {
	l := c.lane
	bufs = bufs[:min(len(bufs), maxBuffers)]
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	n, errno := l.send(int(c.fd), bufs)
	clear(bufs)
	if errno != 0 {
		n = 0
	}
	if n > 0 {
		l.moved.Writes++
		l.moved.WrittenBytes += int64(n)
	}
	c.session.Wrote(n)
	if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
		return 0, false, os.NewSyscallError("write", errno)
	}
	return n, n < size, nil
}

// A stamp is the lower 32 bits of a time in milliseconds. That is enough to compare times that are
// at most three weeks apart.
type stamp uint32

func stampOf(t time.Time) stamp { return stamp(elapsed(t).Milliseconds()) }

// after returns how much later than since s is.
func (s stamp) after(since stamp) time.Duration {
	return time.Duration(int32(s-since)) * time.Millisecond
}

// tick calls the session's Tick, and ends a connection that has been blocked for too long.
func (c *laneConn) tick(now time.Time) {
	if !c.phase.serves() {
		return
	}
	if err := c.session.Tick(now); err != nil {
		c.end(err)
		return
	}
	if c.blocked() {
		c.flush() // the session may no longer want to send what was blocked
		if c.blocked() && stampOf(now).after(c.since) >= c.lane.loop.opts.SlowTimeout {
			c.end(ErrSlow)
			return
		}
	}
	if c.interest&readable == 0 { // the session was paused, and may not be any more
		c.updateInterest()
	}
}
