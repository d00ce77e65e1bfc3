package bench

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the transport for Linux, with non-blocking sockets. Each group has an epoll instance, and one more instance holds these and a
// timer. It takes a few events of each group in turn. Otherwise the bytes for a small room would wait until those for a large room are
// read, and the report would show this delay as the server's.
type epoll struct {
	base   time.Time
	target netip.AddrPort
	queue  int           // descriptor of the epoll instance that holds the others
	queues []int         // descriptors of the groups' epoll instances
	ends   []int         // ends[g] is the number of the last connection of group g, plus one
	timer  int           // descriptor of the timer
	armed  time.Duration // when the timer fires; MaxInt64 when it is off
	fds    []int32       // by connection; -1 if the connection has no descriptor
	state  []uint8
	ready  []unix.EpollEvent // scratch, for queue
	events []unix.EpollEvent // scratch, for one group; its length is how many events of a group are taken at once
	buf    []byte
}

// The states of a connection.
const (
	stateNone uint8 = iota
	stateConnecting
	stateReading
	stateSilent
	wantsWrite uint8 = 1 << 7 // a bit on top of the state
)

const timerSlot = -1 // the data of the timer's event; the data of a group's event is the number of the group

// newTransport makes the transport. ends[g] is the number of the last connection of group g, plus one.
func newTransport(target netip.AddrPort, ends []int, base time.Time, portable bool) (transport, error) {
	n := ends[len(ends)-1]
	if portable {
		return newPortable(target, n, base), nil
	}
	t := &epoll{
		base: base, target: target, ends: ends, queue: -1, timer: -1, armed: math.MaxInt64,
		fds: make([]int32, n), state: make([]uint8, n), buf: make([]byte, bufferSize),
		ready: make([]unix.EpollEvent, 1+len(ends)), events: make([]unix.EpollEvent, 64),
	}
	for i := range t.fds {
		t.fds[i] = -1
	}
	if err := t.open(); err != nil {
		t.shutdown()
		return nil, err
	}
	return t, nil
}

// open makes the epoll instances and the timer.
func (t *epoll) open() (err error) {
	if t.queue, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if t.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timerfd_create: %w", err)
	}
	if err := t.control(t.queue, unix.EPOLL_CTL_ADD, t.timer, unix.EPOLLIN, timerSlot); err != nil {
		return err
	}
	for g := range t.ends {
		queue, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return fmt.Errorf("epoll_create1: %w", err)
		}
		t.queues = append(t.queues, queue)
		if err := t.control(t.queue, unix.EPOLL_CTL_ADD, queue, unix.EPOLLIN, g); err != nil {
			return err
		}
	}
	return nil
}

// control adds, changes or removes a descriptor in an epoll instance.
func (t *epoll) control(queue, op, fd int, events uint32, slot int) error {
	err := unix.EpollCtl(queue, op, fd, &unix.EpollEvent{Events: events, Fd: int32(slot)})
	return os.NewSyscallError("epoll_ctl", err)
}

// queueOf returns the descriptor of the epoll instance for connection i.
func (t *epoll) queueOf(i int) int {
	g := 0
	for i >= t.ends[g] {
		g++
	}
	return t.queues[g]
}

func (t *epoll) dial(i int, local netip.Addr) error {
	family := unix.AF_INET
	if t.target.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		if errors.Is(err, unix.EMFILE) {
			return fmt.Errorf("%w: raise the descriptor limit (ulimit -n) above the number of connections", err)
		}
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if local.IsValid() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // the kernel chooses the port when it connects, so that a port can be used again for another peer
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			unix.Close(fd)
			return fmt.Errorf("from %v: %w", local, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(t.target)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("%w: every port of the local address is taken for this server; use more local addresses", err)
		}
		return &ConnectError{t.target, err}
	}
	if err := t.control(t.queueOf(i), unix.EPOLL_CTL_ADD, fd, unix.EPOLLOUT, i); err != nil {
		unix.Close(fd)
		return err
	}
	t.fds[i], t.state[i] = int32(fd), stateConnecting
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// interest makes the kernel wait for the events that the state of connection i needs.
func (t *epoll) interest(i int) {
	events := uint32(0)
	if t.state[i]&^wantsWrite == stateReading {
		events |= unix.EPOLLIN
	}
	if t.state[i]&wantsWrite != 0 {
		events |= unix.EPOLLOUT
	}
	t.control(t.queueOf(i), unix.EPOLL_CTL_MOD, int(t.fds[i]), events, i)
}

func (t *epoll) write(i int, b []byte) int {
	if t.fds[i] < 0 {
		return len(b)
	}
	n, errno := transfer(unix.SYS_WRITE, t.fds[i], b)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		return len(b) // an error: the next read will find that the connection has ended
	}
	if blocked := t.state[i]&wantsWrite != 0; blocked != (n < len(b)) {
		t.state[i] ^= wantsWrite
		t.interest(i)
	}
	return n
}

func (t *epoll) set(i int, m mode) {
	if t.fds[i] < 0 {
		return
	}
	switch m {
	case closed:
		unix.Close(int(t.fds[i]))
		t.fds[i], t.state[i] = -1, stateNone
	case silent:
		t.state[i] = stateSilent
		t.control(t.queueOf(i), unix.EPOLL_CTL_DEL, int(t.fds[i]), 0, i) // otherwise epoll would report the end of the connection again and again
	case reading:
		t.state[i] = stateReading
		t.control(t.queueOf(i), unix.EPOLL_CTL_ADD, int(t.fds[i]), unix.EPOLLIN, i)
	}
}

func (t *epoll) wait(until time.Duration, h handler) error {
	if until != t.armed {
		left := max(until-time.Since(t.base), 1)
		if until == math.MaxInt64 {
			left = 0 // turns the timer off
		}
		if err := unix.TimerfdSettime(t.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}, nil); err != nil {
			return fmt.Errorf("timerfd_settime: %w", err)
		}
		t.armed = until
	}
	n, err := unix.EpollWait(t.queue, t.ready, -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range t.ready[:max(n, 0)] {
		if e.Fd == timerSlot {
			unix.Read(t.timer, t.buf[:8])
			t.armed = math.MaxInt64
		} else if err := t.turn(t.queues[e.Fd], h); err != nil {
			return err
		}
	}
	return nil
}

// turn handles a few events of one group.
func (t *epoll) turn(queue int, h handler) error {
	n, err := unix.EpollWait(queue, t.events, 0)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range t.events[:max(n, 0)] {
		if i := int(e.Fd); t.fds[i] >= 0 {
			t.happened(i, e.Events, h)
		}
	}
	return nil
}

func (t *epoll) happened(i int, events uint32, h handler) {
	if t.state[i] == stateConnecting {
		if code, err := unix.GetsockoptInt(int(t.fds[i]), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			h.gone(i, &ConnectError{t.target, unix.Errno(code)})
			return
		}
		t.state[i] = stateReading
		t.interest(i)
		h.connected(i)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		h.writable(i)
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 || t.fds[i] < 0 || t.state[i]&^wantsWrite != stateReading {
		return
	}
	n, errno := transfer(unix.SYS_READ, t.fds[i], t.buf)
	switch {
	case n > 0:
		h.received(i, t.buf[:n])
	case errno == 0:
		h.gone(i, io.EOF)
	case errno != unix.EAGAIN && errno != unix.EINTR:
		h.gone(i, errno)
	}
}

// transfer reads from or writes to a socket that does not block. It uses RawSyscall, because the scheduler need not know of a call that
// cannot wait. If there is an error, n is 0.
func transfer(call uintptr, fd int32, b []byte) (n int, errno unix.Errno) {
	r, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

func (t *epoll) shutdown() {
	for i := range t.fds {
		t.set(i, closed)
	}
	for _, fd := range append(t.queues, t.timer, t.queue) {
		unix.Close(fd)
	}
}
