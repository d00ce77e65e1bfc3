package loop

import (
	"context"
	"net"
	"runtime"
	"sync"
	"time"
)

// Lanes runs connections on a few event loops over epoll, one for each processor that Go may
// use, so that an idle connection costs a few hundred bytes: no goroutine, buffer or timer. It
// takes TCP connections as they are; whatever else there is, such as TLS, goes to a [Portable].
//
// The way of a byte, in the order of the files:
//
//	lanes_linux.go      Serve takes the descriptor over and gives it to a lane
//	lane_linux.go       the lane's goroutine: turns of tasks, events and walks
//	lane_tasks_linux.go what other goroutines have for it, new connections first of all
//	lane_conn_linux.go  a connection: read, write what is due
//	lane_end_linux.go   its end
//	lane_group_linux.go connections that are woken together
//	sys_linux.go        the system calls
type Lanes struct {
	opts     Options   // immutable
	portable *Portable // immutable: for what is not plain TCP

	mu     sync.Mutex
	lanes  []*lane // guarded by mu: none before the first connection needs one
	next   int     // guarded by mu: whose turn it is to get a connection
	closed bool    // guarded by mu

	running sync.WaitGroup // connections of lanes
	stop    chan struct{}  // ends the ticker; Shutdown closes it
	ended   sync.WaitGroup // their goroutines
}

// NewLanes returns a loop without connections. Shutdown ends it.
func NewLanes(o Options) *Lanes {
	o = o.withDefaults()
	return &Lanes{opts: o, portable: NewPortable(o), stop: make(chan struct{})}
}

// Serve takes a connection over and returns at once. early is what has already been
// read from it. open makes the session; it is called before Serve returns, and from its
// call on the handle may be used. False means that the loop has been shut down: the
// connection is still the caller's.
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
	return ls.portable.Serve(nc, early, open) // out of descriptors, as a rule: it needs none
}

// lane returns the lane for a new connection, which is counted as running; nil without an
// error if the loop has been shut down.
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

// tick is the one clock of all lanes.
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

// Shutdown waits until all connections have ended, which their sessions must bring
// about, or until ctx ends: then it cuts them off and returns ctx's error.
func (ls *Lanes) Shutdown(ctx context.Context) error {
	ls.mu.Lock()
	if ls.closed {
		ls.mu.Unlock()
		return nil
	}
	ls.closed = true
	lanes := ls.lanes
	ls.mu.Unlock()

	ended := make(chan struct{}) // closed when no connection of a lane is left
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

// Stats may be called from any goroutine. It is as of each lane's last turn.
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
