package loop

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxEvents = 256       // taken from epoll in one turn
	maxVisits = 64        // connections of groups visited in one turn, and ticked in one turn; more, and small rooms wait for large ones
	readSize  = 128 << 10 // a frame of 64 KiB of payload lies whole in it
)

// A lane is one event loop: the goroutine run, which owns its connections and alone calls
// their sessions. It takes turns, each short, so that what has just come never waits behind
// a large group that it is not of:
//
//  1. tasks: what other goroutines have put there;
//  2. a part of the tick, when there is one;
//  3. events: what epoll says is ready;
//  4. visits: a part of the groups that have been woken;
//  5. the end of those that ended: descriptors are closed only now, so that none is used
//     again while an event of its last owner is still to be looked at.
//
// When there is nothing left to do it waits to be woken. It does not wait in epoll, but lets
// the runtime's poller watch the epoll descriptor (watch): in a system call of its own it
// would hold a processor on which others are ready to run.
type lane struct {
	// Immutable.
	loop  *Lanes
	epoll *os.File
	fd    int           // of epoll
	wake  chan struct{} // capacity 1: there is something to do; anyone sends, never closed

	ticked atomic.Bool // a tick is due

	mu       sync.Mutex
	tasks    []task                 // guarded by mu
	openings map[*laneConn]*opening // guarded by mu: of those whose session is not there yet
	stats    Stats                  // guarded by mu: moved, as of the last turn

	// Owned by run. What a turn has taken is kept here, so that a panic loses none of it.
	taken    []task // the tasks taken, those before done have been run
	done     int
	events   [maxEvents]unix.EpollEvent
	event    int // the next to look at
	eventEnd int
	tickNext int // the slot to be ticked next
	tickLeft int // slots to be ticked still
	walks    []*group
	groups   map[any]*group
	timers   timers
	slots    []slot
	free     []uint32 // slots without a connection
	ended    []ended
	current  *laneConn // whose session is being called
	cut      error     // why no connection is waited for
	moved    Stats
	stopped  bool

	// Shared by all connections of the lane, one call at a time.
	read []byte
	bufs [][]byte
	iov  []unix.Iovec
	msg  unix.Msghdr
}

// A slot is the place of a connection. Its generation tells an event of the connection that
// has it from one of those before.
type slot struct {
	conn       *laneConn
	generation uint32
}

// ended is a connection of which only the end has to be told.
type ended struct {
	conn *laneConn
	err  error
}

func newLane(ls *Lanes) (*lane, error) {
	file, err := newEpoll()
	if err != nil {
		return nil, err
	}
	if err := file.SetReadDeadline(time.Time{}); err != nil { // the runtime's poller does not take it
		file.Close()
		return nil, err
	}
	l := &lane{
		loop:     ls,
		epoll:    file,
		wake:     make(chan struct{}, 1),
		groups:   make(map[any]*group),
		openings: make(map[*laneConn]*opening),
		read:     make([]byte, readSize),
		bufs:     make([][]byte, 0, maxBuffers),
		iov:      make([]unix.Iovec, 0, maxBuffers),
	}
	l.timers.init(func() { signal(l.wake) })
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { l.fd = int(fd) })
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

// watch wakes the lane when its epoll descriptor has become ready, until that is closed.
func (l *lane) watch() {
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		return // closed already
	}
	// The function is called once, and again whenever something became ready after it was
	// called. The call never ends by itself: a new one would forget what came between.
	raw.Read(func(uintptr) bool {
		signal(l.wake)
		return false
	})
}

// run is the lane's goroutine.
func (l *lane) run() {
	for !l.stopped {
		l.turns()
	}
	l.timers.stop()
	l.epoll.Close()
}

// turns takes turns until the lane is stopped or a session panics: that ends its connection
// and no other, and what the turn had begun is gone on with.
func (l *lane) turns() {
	defer func() {
		if v := recover(); v != nil {
			l.blame(v, debug.Stack())
		}
	}()
	for !l.stopped {
		if !l.turn() {
			<-l.wake
		} else if len(l.walks) > 0 || l.tickLeft > 0 {
			runtime.Gosched() // the rooms whose messages have just been read come first
		}
	}
}

// blame ends the connection whose session has panicked, with its last words if the socket
// takes them now.
func (l *lane) blame(v any, stack []byte) {
	c := l.current
	l.current = nil
	switch {
	case c == nil:
		panic(v) // ours
	case c.gone: // in Closed
		lastWords(c.session, v, stack)
	case c.draining:
		c.end(ErrPanicked)
	default:
		c.broken = true
		if last, ok := lastWords(c.session, v, stack); ok {
			if n, errno := l.send(int(c.fd), [][]byte{last}); errno == 0 && n == len(last) {
				c.drain()
				return
			}
		}
		c.end(ErrPanicked)
	}
}

// turn does some of everything there is to do, and tells whether there was anything.
func (l *lane) turn() bool {
	busy := l.runTasks()
	busy = l.runTimers() || busy
	busy = l.tick() || busy
	busy = l.runEvents() || busy
	busy = l.visit() || busy
	l.bury()
	return busy
}

func (l *lane) runTimers() bool {
	busy := false
	for {
		m, ok := l.timers.due()
		if !ok {
			return busy
		}
		busy = true
		c := m.conn
		if c.gone {
			continue
		}
		if c.draining {
			if m.draining { // not a wake-up from before
				c.endDrained()
			}
			continue
		}
		l.current = c
		c.ask()
		c.attend()
		l.current = nil
	}
}

// tick calls the sessions' Tick, some in each turn.
func (l *lane) tick() bool {
	if l.ticked.Load() && l.tickLeft == 0 {
		l.ticked.Store(false)
		l.tickLeft = len(l.slots)
	}
	if l.tickLeft == 0 {
		return false
	}
	now := time.Now()
	for n := 0; n < maxVisits && l.tickLeft > 0; n++ {
		l.tickLeft--
		if l.tickNext++; l.tickNext >= len(l.slots) {
			l.tickNext = 0
		}
		if c := l.slots[l.tickNext].conn; c != nil {
			l.current = c
			c.tick(now)
			l.current = nil
		}
	}
	return true
}

func (l *lane) runEvents() bool {
	if l.event == l.eventEnd {
		n, errno := epollWait(l.fd, l.events[:])
		if errno != 0 {
			if errno == syscall.EINTR {
				return true
			}
			panic(os.NewSyscallError("epoll_pwait", errno)) // ours: the descriptor is good
		}
		l.event, l.eventEnd = 0, n
	}
	busy := l.event < l.eventEnd
	for l.event < l.eventEnd {
		ev := l.events[l.event]
		l.event++
		l.ready(uint32(ev.Fd), uint32(ev.Pad), ev.Events)
	}
	return busy
}

// ready hands an event to the connection it is of, if that is still there.
func (l *lane) ready(place, generation, events uint32) {
	s := &l.slots[place]
	if s.conn == nil || s.generation != generation {
		return
	}
	l.current = s.conn
	s.conn.ready(events)
	l.current = nil
}

// bury closes the descriptors of those who ended, and tells their sessions.
func (l *lane) bury() {
	for len(l.ended) > 0 {
		last := len(l.ended) - 1
		e := l.ended[last]
		l.ended[last] = ended{}
		l.ended = l.ended[:last]
		l.bury1(e)
	}
}

func (l *lane) bury1(e ended) {
	defer l.loop.running.Done()
	unix.Close(int(e.conn.fd))
	l.current = e.conn // gone: a panic ends nothing more
	e.conn.session.Closed(e.err)
	l.current = nil
}

// cutOff ends all connections, those that are still to come as well.
func (l *lane) cutOff(err error) {
	l.cut = err
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			c.cut()
		}
	}
}
