package main

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/doyasa/doyasa/internal/server"
)

// listenConfig sets the socket options of all connections on the listener, because Linux copies them to each accepted connection. If the
// runtime set them on each connection, that would be five of the twenty system calls of a handshake.
func listenConfig() net.ListenConfig {
	return net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		set := func(fd uintptr, level, option, value int) {
			if err := unix.SetsockoptInt(int(fd), level, option, value); err != nil && failed == nil {
				failed = os.NewSyscallError("setsockopt", err)
			}
		}
		err := c.Control(func(fd uintptr) {
			set(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, server.SendBuffer)
			set(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepalive.Idle.Seconds()))
			set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepalive.Interval.Seconds()))
			set(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepalive.Count)
		})
		if err != nil {
			return err
		}
		return failed
	}}
}

// tuned returns l unchanged, because its connections have their socket options already.
func tuned(l net.Listener) net.Listener { return l }
