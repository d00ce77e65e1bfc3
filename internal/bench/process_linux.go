package bench

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is the process of a server that runs on this machine.
type process struct {
	pid  int
	name string
}

// usage is how much CPU time the process has used so far, and how much memory it uses now.
type usage struct {
	cpu time.Duration // of all threads, user and system
	rss int64         // resident bytes
}

// findServer finds the process by its id or by the port that it listens on. It returns nil for a server on
// another machine.
func findServer(pid int, at netip.AddrPort) (*process, error) {
	if pid == 0 {
		if !isLocal(at.Addr()) {
			return nil, nil
		}
		if pid = listener(at.Port()); pid == 0 {
			return nil, nil
		}
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return nil, fmt.Errorf("there is no process %d on this machine: %w", pid, err)
	}
	return &process{pid, strings.TrimSpace(string(name))}, nil
}

func isLocal(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addresses, _ := net.InterfaceAddrs()
	for _, local := range addresses {
		if prefix, err := netip.ParsePrefix(local.String()); err == nil && prefix.Addr() == a {
			return true
		}
	}
	return false
}

// listener returns the process that listens on a TCP port, or 0 if it finds none. Only root can see the processes of other users.
func listener(port uint16) int {
	sockets := make(map[string]bool) // "socket:[inode]"
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			const listening = "0A"
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listening {
				continue
			}
			_, p, _ := strings.Cut(fields[1], ":")
			if b, err := hex.DecodeString(p); err == nil && len(b) == 2 && uint16(b[0])<<8|uint16(b[1]) == port {
				sockets["socket:["+fields[9]+"]"] = true
			}
		}
		f.Close()
	}
	if len(sockets) == 0 {
		return 0
	}
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, d := range descriptors {
		if to, err := os.Readlink(d); err == nil && sockets[to] {
			pid, _ := strconv.Atoi(strings.Split(d, "/")[2])
			return pid
		}
	}
	return 0
}

// usage returns zero for a server on another machine, and for a process that has ended.
func (p *process) usage() (u usage) {
	if p == nil {
		return u
	}
	var ts unix.Timespec
	if unix.ClockGettime(int32(^p.pid<<3|2), &ts) == nil { // the CPU clock of the process, in nanoseconds: clock_getcpuclockid(3)
		u.cpu = time.Duration(ts.Nano())
	}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid)); err == nil {
		if fields := bytes.Fields(b); len(fields) > 1 {
			pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			u.rss = pages * int64(os.Getpagesize())
		}
	}
	return u
}

// ownCPU is the CPU time that this process has used.
func ownCPU() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
