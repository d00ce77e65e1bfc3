package loop

import (
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a lane. None of them can block, so they are raw calls, which do not inform
// the runtime's scheduler. Informing it would cost a tenth of a short write.

// takeOver returns a new descriptor for nc's socket and closes nc. If nc stayed open, the runtime's
// poller would watch the socket too, and wake for each byte that arrives. If takeOver returns an
// error, nc has not changed.
func takeOver(nc *net.TCPConn) (fd int, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if controlErr != nil {
		return -1, controlErr
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	nc.Close()
	return fd, nil
}

// newEpoll returns an epoll instance as a file that the runtime's poller watches.
func newEpoll() (*os.File, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // otherwise NewFile does not register the file with the poller
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "epoll"), nil
}

// epollWait returns the events that are ready now, without waiting.
func epollWait(epfd int, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

func receive(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// maxBuffers is how many buffers one system call may write.
const maxBuffers = 64

// send writes as much of bufs, at most maxBuffers of them, as the socket takes in one call.
func (l *lane) send(fd int, bufs [][]byte) (int, syscall.Errno) {
	if len(bufs) == 1 {
		b := bufs[0]
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	iov := l.iov[:0]
	for _, b := range bufs {
		v := unix.Iovec{Base: &b[0]}
		v.SetLen(len(b))
		iov = append(iov, v)
	}
	l.msg = unix.Msghdr{Iov: &iov[0]}
	l.msg.SetIovlen(len(iov))
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&l.msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	clear(iov)
	return int(n), errno
}
