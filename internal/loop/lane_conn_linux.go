package loop

import (
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A laneConn is one connection of a lane. It is kept small: most of them are idle.
type laneConn struct {
	// Immutable.
	lane    *lane
	session Session
	fd      int32

	woken atomic.Bool // a task to ask what is due is on its way

	// Owned by the lane.
	slot     uint32
	place    int32 // in group.members
	since    stamp // if blocked: since when
	drained  int32 // if draining: bytes thrown away
	group    *group
	interest uint8 // the events asked of epoll
	blocked  bool  // the socket has taken nothing of what is due
	refused  bool  // Feed wants no more
	paused   bool  // the session was, when last asked
	owed     bool  // among the group's owed
	draining bool  // the source has ended, and what is read is thrown away
	broken   bool  // the session has panicked
	gone     bool
}

const (
	maxWrites = 8        // to one connection before others have their turn,
	maxBurst  = 32 << 10 // or a write that makes it so many bytes
	readable  = unix.EPOLLIN
	writable  = unix.EPOLLOUT
	broken    = unix.EPOLLERR | unix.EPOLLHUP
)

// Wake implements Conn.
func (c *laneConn) Wake() {
	if !c.woken.Load() && !c.woken.Swap(true) {
		c.lane.put(task{conn: c})
	}
}

// Post implements Conn.
func (c *laneConn) Post(f func()) { c.lane.put(task{conn: c, run: f}) }

// WakeAfter implements Conn.
func (c *laneConn) WakeAfter(d time.Duration) { c.lane.timers.add(c, d, false) }

// begin takes the connection's place and hands on what has been read before.
func (c *laneConn) begin(early []byte) {
	l := c.lane
	if n := len(l.free); n > 0 {
		c.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		c.slot = uint32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	l.slots[c.slot].conn = c
	l.moved.Connections++
	c.interest = readable
	if err := c.control(unix.EPOLL_CTL_ADD); err != nil {
		c.end(err)
		return
	}
	if len(early) > 0 {
		c.feed(early)
	}
	if l.cut != nil {
		c.cut()
	}
}

// control tells epoll what the connection waits for.
func (c *laneConn) control(op int) error {
	ev := unix.EpollEvent{Events: uint32(c.interest), Fd: int32(c.slot), Pad: int32(c.lane.slots[c.slot].generation)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.lane.fd, op, int(c.fd), &ev))
}

// attend asks epoll for what the connection waits for now.
func (c *laneConn) attend() {
	if c.gone {
		return
	}
	interest := uint8(0)
	if c.reads() {
		interest |= readable
	}
	if c.blocked {
		interest |= writable
	}
	if interest == c.interest {
		return
	}
	c.interest = interest
	if err := c.control(unix.EPOLL_CTL_MOD); err != nil {
		c.end(err)
	}
}

// reads asks whether the connection is to be read from.
func (c *laneConn) reads() bool {
	c.paused = !c.draining && !c.refused && c.session.Paused()
	if c.draining {
		return c.drained < maxDrain
	}
	return !c.refused && !c.paused
}

// ready takes what epoll says.
func (c *laneConn) ready(events uint32) {
	if events&(readable|broken) != 0 {
		switch {
		case c.reads():
			c.receive()
		case events&broken != 0: // a reset, which would be reported for ever
			c.end(syscall.ECONNRESET)
		}
	}
	if !c.gone {
		c.ask()
		c.attend()
	}
}

// receive reads once. If there is more, epoll will say so again.
func (c *laneConn) receive() {
	l := c.lane
	n, errno := receive(int(c.fd), l.read)
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
	case errno != 0:
		c.lost(os.NewSyscallError("read", errno))
	case n == 0:
		if c.owed { // who has sent something and half-closed is answered
			c.flush()
		}
		c.lost(io.EOF)
	case c.draining:
		l.count(n)
		if c.drained += int32(n); c.drained >= maxDrain {
			c.attend()
		}
	default:
		c.woken.Store(true) // it is asked anyway, so its waking itself is not worth a task
		c.feed(l.read[:n])
		c.woken.Store(false)
	}
}

func (c *laneConn) feed(b []byte) {
	c.lane.count(len(b))
	c.refused = c.session.Feed(b) != nil
}

// count counts what has been read.
func (l *lane) count(n int) {
	l.moved.Reads++
	l.moved.ReadBytes += int64(n)
}

// flush writes what is due, as far as the socket takes it.
func (c *laneConn) flush() {
	if c.gone || c.draining {
		return
	}
	l := c.lane
	burst := 0
	for range maxWrites {
		bufs, err := c.session.Due(l.bufs[:0])
		switch {
		case err == io.EOF:
			c.drain()
			return
		case err != nil:
			c.end(err)
			return
		case len(bufs) == 0:
			if c.blocked { // what stood is no longer due
				c.unblock()
				c.attend()
			}
			return
		}
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
			c.end(os.NewSyscallError("write", errno))
			return
		}
		if n < size {
			if n > 0 || !c.blocked {
				c.block()
			}
			if c.interest&writable == 0 {
				c.attend()
			}
			return
		}
		c.unblock()
		if burst += n; burst >= maxBurst {
			break
		}
	}
	if c.group != nil && c.group.walking { // there may be more: a task for it might come when the round is over
		c.group.owe(c)
	} else {
		c.Wake()
	}
}

// A stamp is a moment in milliseconds, of which only the lower bits are kept: enough to tell
// moments apart that are at most three weeks from each other.
type stamp uint32

func stampOf(t time.Time) stamp { return stamp(elapsed(t).Milliseconds()) }

// after is how long after since s is.
func (s stamp) after(since stamp) time.Duration {
	return time.Duration(int32(s-since)) * time.Millisecond
}

// block notes that the socket takes no more.
func (c *laneConn) block() {
	if !c.blocked {
		c.lane.moved.Blocked++
	}
	c.blocked, c.since = true, stampOf(time.Now())
}

// unblock notes that nothing waits for the socket.
func (c *laneConn) unblock() {
	if c.blocked {
		c.lane.moved.Blocked--
		c.blocked = false
	}
}

// tick calls the session's Tick, and ends a connection that has stood for too long.
func (c *laneConn) tick(now time.Time) {
	if c.gone || c.draining {
		return
	}
	if err := c.session.Tick(now); err != nil {
		c.end(err)
		return
	}
	if c.blocked {
		c.flush() // the session may see it differently by now
		if c.blocked && stampOf(now).after(c.since) >= c.lane.loop.opts.SlowTimeout {
			c.end(ErrSlow)
			return
		}
	}
	if c.blocked || c.paused {
		c.attend()
	}
}
