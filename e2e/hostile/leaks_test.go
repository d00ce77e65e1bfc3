package hostile_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// live is the heap that the server's last collection left, in bytes, after at least two more of them. Strangers who come and go make
// it collect.
func (s *stand) live(t *testing.T) float64 {
	t.Helper()
	first, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); ; {
		for range 200 {
			conn, err := wire.Dial(s.server.Addr, "/websocket")
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		m, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		if m["go_gc_duration_seconds_count"] >= first["go_gc_duration_seconds_count"]+2 {
			// The next collection is due at twice what is live, and never below 4 MiB.
			return m["go_memstats_next_gc_bytes"] / 2
		}
		if time.Since(since) > time.Minute {
			t.Fatal("no garbage collection within a minute")
		}
	}
}

// TestVanish: 100,000 connections in ten shapes, from several addresses, many at a time, leave nothing behind: no goroutine, no
// descriptor, no member, no memory; and the bystanders did not notice.
func TestVanish(t *testing.T) {
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		cycles := size(100_000, 2_000)
		round := func() {
			var next atomic.Int64
			var workers sync.WaitGroup
			for w := range 8 {
				workers.Go(func() {
					for i := int(next.Add(1)); i <= cycles; i = int(next.Add(1)) {
						if err := s.vanish(i, fmt.Sprintf("127.0.0.%d", 1+w)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			workers.Wait()
		}
		if soak { // the rooms, and what is allocated once
			cycles /= 10
			round()
			cycles *= 10
		}
		heap := s.live(t)
		s.watch(t, func(t *testing.T) { round() })
		if after := s.live(t); after > heap+4<<20 {
			t.Errorf("%.1f MiB live before, %.1f MiB after %d connections", heap/(1<<20), after/(1<<20), cycles)
		} else {
			t.Logf("%d connections in ten shapes: %.1f MiB live before, %.1f MiB after", cycles, heap/(1<<20), after/(1<<20))
		}
	})
}

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
