package loop

import (
	"context"
	"net"
	"runtime"
	"sync"
	"time"
)

// Lanes runs connections on a few event loops over epoll, one for each processor that Go may
// use, so that an idle connection costs a few hundred bytes: it has no goroutine, buffer or timer.
// It serves plain TCP connections. A [Portable] serves all others, such as TLS.
//
// The files, in the order in which bytes pass through them:
//
//	lanes_linux.go       Serve takes the descriptor and gives it to a lane
//	lane_linux.go        the lane's goroutine and its turns
//	lane_tasks_linux.go  how other goroutines ask a lane to do something, such as to serve a new connection
//	lane_slots_linux.go  how an event finds its connection
//	lane_conn_linux.go   a connection: reads, and writes what is due
//	lane_group_linux.go  the connections that are woken together, and the sweep that serves them
//	lane_timers_linux.go the connections that must be flushed at a certain time
//	lane_end_linux.go    how a connection ends
//	sys_linux.go         the system calls
type Lanes struct {
	opts     Options   // immutable
	portable *Portable // immutable: serves connections that are not plain TCP

	mu     sync.Mutex
	lanes  []*lane // guarded by mu; made when the first connection comes
	next   int     // guarded by mu: the lane that got the last connection
	closed bool    // guarded by mu

	running sync.WaitGroup // the connections of the lanes
	stop    chan struct{}  // ends the ticker; Shutdown closes it
	ended   sync.WaitGroup // the goroutines of the lanes, and the ticker
}

// NewLanes returns a loop without connections. Shutdown ends it.
func NewLanes(o Options) *Lanes {
	o = o.withDefaults()
	return &Lanes{opts: o, portable: NewPortable(o), stop: make(chan struct{})}
}

// Serve takes over a connection and returns at once. early has the bytes that were already read
// from it. open makes the session. Serve calls open before it returns, and open may pass on the
// Conn that it gets. If Serve returns false, the loop has been shut down and the caller still owns
// the connection.
func (ls *Lanes) Serve(nc net.Conn, early []byte, open func(Conn) Session) bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return ls.portable.Serve(nc, early, open)
	}
	l, err := ls.lane()
	if l == nil && err == nil {
		return false
	}
	if err == nil {
		var fd int
		if fd, err = takeOver(tcp); err == nil {
			l.serve(fd, early, open)
			return true
		}
		ls.running.Done()
	}
	return ls.portable.Serve(nc, early, open) // Portable needs no new descriptor; the process has probably run out of descriptors
}

// lane returns the lane for a new connection, and counts the connection as running. Both results
// are nil if the loop has been shut down.
func (ls *Lanes) lane() (*lane, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil, nil
	}
	if len(ls.lanes) == 0 {
		if err := ls.start(); err != nil {
			return nil, err
		}
	}
	ls.running.Add(1)
	ls.next = (ls.next + 1) % len(ls.lanes)
	return ls.lanes[ls.next], nil
}

// start makes the lanes. Called with mu held.
func (ls *Lanes) start() error {
	var lanes []*lane
	for range runtime.GOMAXPROCS(0) {
		l, err := newLane(ls)
		if err != nil {
			for _, l := range lanes {
				l.epoll.Close()
			}
			return err
		}
		lanes = append(lanes, l)
	}
	ls.lanes = lanes
	for _, l := range lanes {
		ls.ended.Go(l.run)
		ls.ended.Go(l.watch)
	}
	ls.ended.Go(func() { ls.tick(lanes) })
	return nil
}

// tick is the goroutine that begins the ticks of all lanes.
func (ls *Lanes) tick(lanes []*lane) {
	ticker := time.NewTicker(ls.opts.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, l := range lanes {
				l.ticked.Store(true)
				signal(l.wake)
			}
		case <-ls.stop:
			return
		}
	}
}

// Shutdown waits until all connections have ended. The sessions must end them. If ctx ends first,
// Shutdown ends the remaining connections at once and returns ctx's error.
func (ls *Lanes) Shutdown(ctx context.Context) error {
	ls.mu.Lock()
	if ls.closed {
		ls.mu.Unlock()
		return nil
	}
	ls.closed = true
	lanes := ls.lanes
	ls.mu.Unlock()

	ended := make(chan struct{}) // the goroutine below closes it when no connection of a lane is left
	go func() {
		ls.running.Wait()
		close(ended)
	}()
	err := ls.portable.Shutdown(ctx)
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		for _, l := range lanes {
			l.put(task{run: func() { l.cutOff(err) }})
		}
		<-ended
	}
	close(ls.stop)
	for _, l := range lanes {
		l.put(task{run: func() { l.stopped = true }})
	}
	ls.ended.Wait()
	return err
}

// Stats may be called from any goroutine. It adds up the figures that each lane copied in its last
// turn.
func (ls *Lanes) Stats() Stats {
	s := ls.portable.Stats()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.lanes {
		l.mu.Lock()
		s.plus(l.stats)
		l.mu.Unlock()
	}
	return s
}
