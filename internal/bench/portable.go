package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// portable is the transport for other systems. Each connection has two goroutines, which pass each event to the goroutine that measures.
// This costs more than epoll. So if the server is fast, the load generator limits the figures.
type portable struct {
	base   time.Time
	target netip.AddrPort
	ctx    context.Context // ends the goroutines; shutdown cancels it
	cancel context.CancelFunc
	conns  []*peer // by connection; nil if there is none

	happened chan event     // events, from the goroutines of the connections to wait; never closed
	running  sync.WaitGroup // the goroutines
}

// An event is one thing that happened to a connection. If done is not nil, the goroutine that sent the event waits for it.
type event struct {
	i    int
	kind eventKind
	b    []byte
	err  error
	done chan struct{}
}

type eventKind int

const (
	eventConnected eventKind = iota
	eventReceived
	eventGone
)

// A peer is the far end of one connection.
type peer struct {
	nc net.Conn // set once, before eventConnected

	mu     sync.Mutex
	change *sync.Cond // signalled when a field below changes
	out    []byte     // guarded by mu: bytes to be written
	silent bool       // guarded by mu
	closed bool       // guarded by mu
}

func newPortable(target netip.AddrPort, n int, base time.Time) *portable {
	t := &portable{base: base, target: target, conns: make([]*peer, n), happened: make(chan event, 64)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *portable) dial(i int, local netip.Addr) error {
	p := new(peer)
	p.change = sync.NewCond(&p.mu)
	t.conns[i] = p
	d := net.Dialer{}
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	t.running.Go(func() {
		nc, err := d.DialContext(t.ctx, "tcp", t.target.String())
		if err != nil {
			t.tell(event{i: i, kind: eventGone, err: &ConnectError{t.target, cause(err)}})
			return
		}
		p.nc = nc
		defer nc.Close()
		t.running.Go(p.write)
		t.tell(event{i: i, kind: eventConnected})
		t.read(i, p)
	})
	return nil
}

// cause returns an error of net.Dial without the words that ConnectError adds itself.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// tell sends an event, unless shutdown has begun.
func (t *portable) tell(e event) {
	select {
	case t.happened <- e:
	case <-t.ctx.Done():
		return
	}
	if e.done != nil {
		select {
		case <-e.done:
		case <-t.ctx.Done():
		}
	}
}

// read is the goroutine that reads from p until the connection ends.
func (t *portable) read(i int, p *peer) {
	buf := make([]byte, 16<<10)
	done := make(chan struct{}, 1)
	for {
		p.mu.Lock()
		for p.silent && !p.closed {
			p.change.Wait()
		}
		p.mu.Unlock()
		n, err := p.nc.Read(buf)
		if n > 0 {
			t.tell(event{i: i, kind: eventReceived, b: buf[:n], done: done})
		}
		if err != nil {
			t.tell(event{i: i, kind: eventGone, err: err})
			return
		}
	}
}

// write is the goroutine that writes to p until it is closed.
func (p *peer) write() {
	var b []byte
	for {
		p.mu.Lock()
		for len(p.out) == 0 && !p.closed {
			p.change.Wait()
		}
		if p.closed {
			p.mu.Unlock()
			return
		}
		b, p.out = p.out, b[:0]
		p.mu.Unlock()
		p.nc.Write(b) // after an error the next Read fails, and the reader reports that
	}
}

func (t *portable) write(i int, b []byte) int {
	p := t.conns[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	p.change.Broadcast()
	return len(b)
}

func (t *portable) set(i int, m mode) {
	p := t.conns[i]
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = m == silent
	if m == closed && !p.closed {
		p.closed = true
		if p.nc != nil {
			p.nc.Close()
		}
	}
	p.change.Broadcast()
}

func (t *portable) wait(until time.Duration, h handler) error {
	timer := time.NewTimer(max(0, until-time.Since(t.base)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case e := <-t.happened:
		t.report(e, h)
		for range len(t.happened) {
			t.report(<-t.happened, h)
		}
	}
	return nil
}

func (t *portable) report(e event, h handler) {
	switch e.kind {
	case eventConnected:
		h.connected(e.i)
	case eventReceived:
		h.received(e.i, e.b)
		e.done <- struct{}{}
	case eventGone:
		h.gone(e.i, e.err)
	}
}

func (t *portable) shutdown() {
	t.cancel()
	for i := range t.conns {
		t.set(i, closed)
	}
	t.running.Wait()
}
