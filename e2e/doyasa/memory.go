package doyasa

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// RSS returns how many bytes of memory the process uses. It needs Linux.
func (s *Server) RSS() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS in %q", status)
}

// WatchRSS samples RSS until the returned function is called. That function returns by how much the highest sample exceeds the
// first one.
func (s *Server) WatchRSS(t testing.TB) (growth func() int) {
	t.Helper()
	first, err := s.RSS()
	if err != nil {
		Skip(t, "no memory figure of another process here: "+err.Error())
	}
	most := first
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if now, err := s.RSS(); err == nil {
					most = max(most, now)
				}
			case <-stop:
				return
			}
		}
	}()
	return func() int {
		close(stop)
		<-stopped
		return most - first
	}
}
