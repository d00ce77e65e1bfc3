//go:build !linux

package bench

import (
	"errors"
	"net/netip"
	"time"
)

// process stands for the server's process. Its CPU time and memory cannot be read on this system.
type process struct {
	pid  int
	name string
}

type usage struct {
	cpu time.Duration
	rss int64
}

func findServer(pid int, _ netip.AddrPort) (*process, error) {
	if pid != 0 {
		return nil, errors.New("CPU and memory of another process can be read on Linux only")
	}
	return nil, nil
}

func (p *process) usage() usage { return usage{} }

func ownCPU() time.Duration { return 0 }
