// Command limit is the smallest possible broadcast server. It shows the lowest cost that any server has under the same load. It
// has no rooms, names, history, limits, timers or pings, and answers only what the load generator needs. One thread waits for all
// sockets. Normally it writes each message to each client with a separate write. With -batch it first reads all the input that
// has arrived, joins the messages, and writes them to each client in one write.
//
// If the socket of a client is full, the rest is kept in memory without limit. Do not put this server on a network.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/doyasa/doyasa/wsproto"
)

// A client is one connection.
type client struct {
	in   []byte // an incomplete frame, or the incomplete request
	out  []byte // bytes that did not fit into the full socket
	open bool   // the handshake is answered
}

// loop is the state of the whole program. Its one thread owns it.
type loop struct {
	batch   bool
	epoll   int
	ln      int
	clients []*client // by descriptor
	open    []int     // descriptors of open clients
	due     []byte    // with -batch: frames that are still to be written to all clients
	frame   []byte    // scratch: the frame of one message
}

func main() {
	listen := flag.String("listen", "127.0.0.1:3100", "`address` to listen on")
	batch := flag.Bool("batch", false, "drain the input, join what is due, write once per client")
	flag.Parse()
	addr, err := netip.ParseAddrPort(*listen)
	if err != nil {
		log.Fatal(err)
	}
	runtime.LockOSThread()
	debug.SetGCPercent(400)
	l := &loop{batch: *batch}
	if err := l.run(addr); err != nil {
		log.Fatal(err)
	}
}

func (l *loop) run(addr netip.AddrPort) (err error) {
	if l.ln, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	unix.SetsockoptInt(l.ln, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(l.ln, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return fmt.Errorf("bind %v: %w", addr, err)
	}
	if err := unix.Listen(l.ln, 4096); err != nil {
		return err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.ln, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.ln)}); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 512)
	buf := make([]byte, 256<<10)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); {
			case fd == l.ln:
				l.accept()
			case l.clients[fd] == nil:
			default:
				if e.Events&unix.EPOLLOUT != 0 {
					l.drain(fd)
				}
				if e.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
					l.read(fd, buf)
				}
			}
		}
		if len(l.due) > 0 {
			l.toAll(l.due)
			l.due = l.due[:0]
		}
	}
}

func (l *loop) accept() {
	for {
		fd, _, err := unix.Accept4(l.ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for len(l.clients) <= fd {
			l.clients = append(l.clients, nil)
		}
		l.clients[fd] = new(client)
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
}

func (l *loop) close(fd int) {
	unix.Close(fd)
	l.clients[fd] = nil
	for i, open := range l.open {
		if open == fd {
			l.open = append(l.open[:i], l.open[i+1:]...)
			break
		}
	}
}

func (l *loop) read(fd int, buf []byte) {
	n, err := unix.Read(fd, buf)
	if n <= 0 {
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			l.close(fd)
		}
		return
	}
	c := l.clients[fd]
	b := buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	if !c.open {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			c.keep(b)
			return
		}
		if !l.answer(fd, b[:end+2]) {
			l.close(fd)
			return
		}
		b = b[end+4:]
	}
	for len(b) > 0 {
		h, n, err := wsproto.ParseHeader(b)
		if errors.Is(err, wsproto.ErrNeedMore) || err == nil && int64(len(b)-n) < h.PayloadLen {
			break
		}
		if err != nil || h.Opcode == wsproto.OpClose {
			l.close(fd)
			return
		}
		payload := b[n:][:h.PayloadLen]
		b = b[n+len(payload):]
		if h.Opcode.IsData() {
			l.say(h, payload)
		}
	}
	c.keep(b)
}

// keep stores b until the next read.
func (c *client) keep(b []byte) {
	if len(b) == 0 {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], b...)
}

// answer answers the handshake.
func (l *loop) answer(fd int, head []byte) bool {
	const field = "Sec-WebSocket-Key: "
	_, key, ok := bytes.Cut(head, []byte(field))
	if !ok {
		return false
	}
	key, _, _ = bytes.Cut(key, []byte("\r\n"))
	unix.Write(fd, wsproto.AppendResponse(nil, string(key), ""))
	l.clients[fd].open = true
	l.open = append(l.open, fd)
	return true
}

// say writes one message to all clients. With -batch it only adds the message to due.
func (l *loop) say(h wsproto.Header, payload []byte) {
	wsproto.Mask(h.MaskingKey, 0, payload)
	h.Masked = false
	if l.batch {
		l.due = wsproto.AppendFrame(l.due, h, payload)
		return
	}
	l.frame = wsproto.AppendFrame(l.frame[:0], h, payload)
	l.toAll(l.frame)
}

func (l *loop) toAll(b []byte) {
	for _, fd := range l.open {
		if c := l.clients[fd]; len(c.out) > 0 {
			c.out = append(c.out, b...)
			continue
		}
		if n := write(fd, b); n < len(b) { // after an error the next read fails
			c := l.clients[fd]
			c.out = append(c.out, b[max(n, 0):]...)
			unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)})
		}
	}
}

// write calls write(2) without informing the scheduler, because the call cannot block. It returns 0 or less if there is an error.
func write(fd int, b []byte) int {
	n, _, _ := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n)
}

// drain writes the bytes that did not fit into a client's socket earlier.
func (l *loop) drain(fd int) {
	c := l.clients[fd]
	n := write(fd, c.out)
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if len(c.out) == 0 {
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
}
