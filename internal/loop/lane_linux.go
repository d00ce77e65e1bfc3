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
	maxEvents  = 256       // events taken from epoll in one turn
	maxPerTurn = 64        // connections swept in one turn, and as many ticked; if it were larger, a large group would delay small groups
	readSize   = 128 << 10 // enough for a whole frame with 64 KiB of payload
)

// A lane is one event loop. Its goroutine run owns the lane's connections, and only run calls their
// sessions. It works in short turns, so that a large group does not delay other connections for
// long:
//
// 1. It runs the tasks that other goroutines have put.
//  2. It ends the connections whose time for draining is over.
//  3. It does a part of the tick, if one is in progress.
//  4. It handles the events that epoll reports.
//  5. It does a part of the sweeps of the woken groups.
//  6. It closes the descriptors of the connections that have ended. If it closed them earlier, a new
//     connection could get the same descriptor within the turn, and an event of the old connection
//     would look like an event of the new one.
//
// When there is nothing left to do, the lane waits until it is woken. It does not wait in
// epoll_wait, which would block a processor that other goroutines could use. Instead the runtime's
// poller watches the epoll descriptor (see watch).
type lane struct {
	// Immutable.
	loop    *Lanes
	epoll   *os.File
	fd      int           // epoll's descriptor
	perTurn int           // maxPerTurn; smaller in tests
	wake    chan struct{} // capacity 1; says that there is something to do; anyone sends, never closed

	ticked atomic.Bool // a tick must begin; tick clears this

	mu       sync.Mutex
	tasks    []task                 // guarded by mu
	openings map[*laneConn]*opening // guarded by mu: the connections whose session is being made
	stats    Stats                  // guarded by mu: a copy of moved, made in each turn

	// Owned by run. These fields hold the work that a turn has begun, so that the next turn can
	// continue with it after a panic.
	taken    []task // tasks taken from the list above; those before index done have been run
	done     int
	events   [maxEvents]unix.EpollEvent
	event    int // index of the next event to handle
	eventEnd int
	tickNext int // the last slot that was ticked
	tickLeft int // how many slots the tick in progress must still visit
	sweeps   sweeps
	groups   map[any]*group // by key; each group has at least one member
	drains   drains
	slots    slots
	endings  []ending

	current   *laneConn // the connection whose session is being called
	cutReason error     // set by Shutdown's deadline: new connections are ended at once with this error
	moved     Stats
	stopped   bool

	// Buffers for one call at a time, shared by all connections of the lane.
	read []byte
	bufs [][]byte
	iov  []unix.Iovec
	msg  unix.Msghdr
}

func newLane(ls *Lanes) (*lane, error) {
	file, err := newEpoll()
	if err != nil {
		return nil, err
	}
	if err := file.SetReadDeadline(time.Time{}); err != nil { // an error means that the runtime's poller does not watch the descriptor
		file.Close()
		return nil, err
	}
	l := &lane{
		loop:     ls,
		epoll:    file,
		perTurn:  maxPerTurn,
		wake:     make(chan struct{}, 1),
		groups:   make(map[any]*group),
		openings: make(map[*laneConn]*opening),
		read:     make([]byte, readSize),
		bufs:     make([][]byte, 0, maxBuffers),
		iov:      make([]unix.Iovec, 0, maxBuffers),
	}
	l.drains.init(func() { signal(l.wake) })
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

// watch wakes the lane whenever its epoll descriptor becomes ready, until the descriptor is closed.
func (l *lane) watch() {
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		return // the descriptor is closed already
	}
	// Read calls the function at once, and again whenever an event has become ready. The function
	// always returns false, so this one call of Read never ends. Between two calls an event could be
	// missed.
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
	l.drains.next.Stop()
	l.epoll.Close()
}

// turns takes turns until the lane is stopped or a session panics. The panic ends that session's
// connection and no other, and the next call goes on with the turn.
func (l *lane) turns() {
	defer func() {
		if v := recover(); v != nil {
			l.endPanicked(v, debug.Stack())
		}
	}()
	for !l.stopped {
		if !l.turn() {
			<-l.wake
		} else if !l.sweeps.empty() || l.tickLeft > 0 {
			runtime.Gosched() // let the hubs publish the messages that were just read
		}
	}
}

// turn does a part of each kind of work, and tells whether there was any work.
func (l *lane) turn() bool {
	busy := l.runTasks()
	busy = l.endDrains() || busy
	busy = l.tick() || busy
	busy = l.runEvents() || busy
	busy = l.sweep() || busy
	l.closeEnded()
	return busy
}

// tick calls Tick of the sessions, and visits only a part of them in each turn.
func (l *lane) tick() bool {
	if l.tickLeft == 0 && l.ticked.Load() {
		l.ticked.Store(false)
		l.tickLeft = len(l.slots.all)
	}
	if l.tickLeft == 0 {
		return false
	}
	now := time.Now()
	for n := 0; n < l.perTurn && l.tickLeft > 0; n++ {
		l.tickLeft--
		if l.tickNext++; l.tickNext >= len(l.slots.all) {
			l.tickNext = 0
		}
		if c := l.slots.all[l.tickNext].conn; c != nil {
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
			panic(os.NewSyscallError("epoll_pwait", errno)) // cannot happen with a good descriptor
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

// ready passes an event to its connection, unless the connection has ended.
func (l *lane) ready(slot, generation, events uint32) {
	c := l.slots.find(slot, generation)
	if c == nil {
		return
	}
	l.current = c
	c.ready(events)
	l.current = nil
}
