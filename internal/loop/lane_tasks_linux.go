package loop

import "golang.org/x/sys/unix"

// What other goroutines have for a lane.

// A task is something that another goroutine wants done: to call run, if there is one, and to
// ask conn what is due, or all of group.
type task struct {
	conn  *laneConn
	group *group
	run   func()
}

// opening holds what is posted before a connection has its place in the lane.
type opening struct{ posted []func() }

// serve gives the lane a connection, which is counted as running. Any goroutine may call it. If
// open panics, the descriptor is closed, and the handle is that of a connection that is gone.
func (l *lane) serve(fd int, early []byte, open func(Conn) Session) {
	o := new(opening)
	c := &laneConn{lane: l, fd: int32(fd)}
	l.mu.Lock()
	l.openings[c] = o
	l.mu.Unlock()
	defer func() {
		if c.session == nil {
			l.mu.Lock()
			c.gone = true // the lane has no task for it before it is no opening any more
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
			if !c.gone {
				f()
			}
		}
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
	if o := l.openings[t.conn]; o != nil { // it has no place yet; it is asked anyway
		if t.run != nil {
			o.posted = append(o.posted, t.run)
		}
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
			t.group.begin()
		case c == nil:
			t.run()
		case c.gone:
		default:
			l.current = c
			c.woken.Store(false)
			if t.run != nil {
				t.run()
				c.flush()
			} else {
				c.ask()
			}
			c.attend()
			l.current = nil
		}
	}
	return busy
}
