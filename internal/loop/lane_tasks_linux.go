package loop

import "golang.org/x/sys/unix"

// How other goroutines ask a lane to do something.

// A task asks a lane to sweep group. If group is nil, the lane calls run if it is set, and then
// flushes conn if it is set.
type task struct {
	conn  *laneConn
	group *group
	run   func()
}

// An opening keeps the functions that are posted to a connection before the lane has the
// connection.
type opening struct{ posted []func() }

// serve gives a connection to the lane. The caller has counted it as running. Any goroutine may call
// serve. If open panics, serve closes the descriptor and the connection has ended.
func (l *lane) serve(fd int, early []byte, open func(Conn) Session) {
	o := new(opening)
	c := &laneConn{lane: l, fd: int32(fd)}
	c.woken.Store(true) // stays set until the connection has begun
	l.mu.Lock()
	l.openings[c] = o
	l.mu.Unlock()
	defer func() {
		if c.session == nil {
			l.mu.Lock()
			c.phase = ended // safe without the lane: no task can exist for c while it is in openings
			delete(l.openings, c)
			l.mu.Unlock()
			unix.Close(fd)
			l.loop.running.Done()
		}
	}()
	c.session = open(c)
	begin := func() {
		c.begin(early)
		for _, f := range o.posted {
			if c.phase.serves() {
				f()
			}
		}
		c.woken.Store(false)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.openings, c)
	l.tasks = append(l.tasks, task{conn: c, run: begin})
	signal(l.wake)
}

// put adds a task. Any goroutine may call it.
func (l *lane) put(t task) {
	l.mu.Lock()
	if o := l.openings[t.conn]; o != nil { // the task was posted, because Wake adds no task for a connection that is opening
		o.posted = append(o.posted, t.run)
		l.mu.Unlock()
		return
	}
	l.tasks = append(l.tasks, t)
	first := len(l.tasks) == 1
	l.mu.Unlock()
	if first {
		signal(l.wake)
	}
}

func (l *lane) runTasks() bool {
	if l.done == len(l.taken) {
		clear(l.taken)
		l.done = 0
		l.mu.Lock()
		l.taken, l.tasks = l.tasks, l.taken[:0]
		l.stats = l.moved
		l.mu.Unlock()
	}
	busy := len(l.taken) > 0
	for l.done < len(l.taken) {
		t := l.taken[l.done]
		l.done++
		switch c := t.conn; {
		case t.group != nil:
			t.group.wake()
		case c == nil:
			t.run()
		case t.run == nil:
			c.woken.Store(false) // before Due, so that a later Wake adds a task of its own
			l.current = c
			c.flushInTurn()
			c.updateInterest()
			l.current = nil
		case c.phase.serves():
			l.current = c
			t.run()
			c.flush()
			c.updateInterest()
			l.current = nil
		}
	}
	return busy
}
