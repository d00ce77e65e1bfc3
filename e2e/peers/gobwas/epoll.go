package main

import (
	"log"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/sys/unix"
)

// loop reads from each connection that has bytes, and writes each message to all connections. An idle connection has no goroutine
// and no buffer.
type loop struct {
	epoll int

	mu    sync.Mutex
	conns map[int32]net.Conn // guarded by mu: by descriptor
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &loop{epoll: fd, conns: make(map[int32]net.Conn)}, err
}

func (l *loop) add(conn net.Conn) {
	if _, err := ws.Upgrade(conn); err != nil {
		conn.Close()
		return
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		conn.Close()
		return
	}
	raw.Control(func(fd uintptr) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns[int32(fd)] = conn
		unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)})
	})
}

func (l *loop) run() {
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			log.Fatal(err)
		}
		for _, e := range events[:max(n, 0)] {
			l.mu.Lock()
			conn := l.conns[e.Fd]
			l.mu.Unlock()
			if conn == nil {
				continue
			}
			payload, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				l.mu.Lock()
				delete(l.conns, e.Fd)
				l.mu.Unlock()
				conn.Close()
				continue
			}
			l.say(compile(op, payload))
		}
	}
}

func (l *loop) say(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		conn.Write(frame) // after an error the next read fails
	}
}
