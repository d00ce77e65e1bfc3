package hostile_test

import (
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// limitDescriptors sets how many files a process may have open, and returns how many it could.
func limitDescriptors(t *testing.T, pid int, n uint64) (before uint64) {
	t.Helper()
	limit, old := syscall.Rlimit{Cur: n, Max: 1 << 20}, syscall.Rlimit{}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE, 0, uintptr(unsafe.Pointer(&old)), 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	limit.Max = old.Max
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	return old.Cur
}

// TestDescriptorsRunOut: while the process has no descriptor left, who is connected goes on talking, and who comes has to wait; when
// there are some again, everybody gets in.
func TestDescriptorsRunOut(t *testing.T) {
	if os.Getuid() != 0 {
		doyasa.Skip(t, "another process's limits are root's to set")
	}
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		s.server.Expect("too many open files")
		open, err := descriptors(s.server.PID())
		if err != nil {
			t.Fatal(err)
		}
		old := limitDescriptors(t, s.server.PID(), uint64(open+10))
		var waiting []*wire.Conn
		for range 30 {
			conn := s.connect(t) // the kernel answers
			conn.Write(wire.Request("a", "/websocket?room=waiting"))
			waiting = append(waiting, conn)
		}
		s.server.Logged("too many open files")
		if _, err := s.crowd.settle(); err != nil {
			t.Error(err)
		}
		limitDescriptors(t, s.server.PID(), old)
		for _, conn := range waiting {
			if err := conn.Accepted(); err != nil {
				t.Fatal(err)
			}
			(&peer{Conn: conn, t: t, stand: s}).open()
			conn.Close()
		}
		if _, err := s.crowd.settle(); err != nil {
			t.Error(err)
		}
		if err := s.returned(s.before); err != nil {
			t.Error(err)
		}
	})
}
