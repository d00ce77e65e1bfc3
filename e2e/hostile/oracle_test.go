package hostile_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// A stand is the one server of a run, with its bystanders and with what is known of it.
type stand struct {
	server  *doyasa.Server
	start   doyasa.Starter
	crowd   *crowd
	timers  timers
	dialled atomic.Int64 // connections of strangers in the row that runs
	table   table
}

// timers are the limits in time, and in messages, of the server under test. CI has short ones, the soak those of a server that was
// told nothing.
type timers struct {
	handshake, ping, pong, slow time.Duration
	perSecond, burst            int
}

func (t timers) flags() []string {
	return []string{"--limits-handshake-timeout", t.handshake.String(), "--limits-ping-interval", t.ping.String(),
		"--limits-pong-timeout", t.pong.String(), "--limits-slow-timeout", t.slow.String(),
		"--limits-messages-per-second", strconv.Itoa(t.perSecond), "--limits-burst", strconv.Itoa(t.burst)}
}

// counters are what must be the same before and after.
type counters struct {
	descriptors, connections, members, goroutines int
}

// count reads the counters. Descriptors are counted by the system, the rest by the server.
func (s *stand) count() (c counters, err error) {
	metrics, err := s.metrics()
	if err != nil {
		return c, err
	}
	c.connections, c.members, c.goroutines = int(metrics["doyasa_connections"]), int(metrics["doyasa_members"]), int(metrics["go_goroutines"])
	c.descriptors, err = descriptors(s.server.PID())
	return c, err
}

// descriptors counts the open files of a process.
func descriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}

// metrics reads /metrics, sums up what has labels, and does not keep the connection.
func (s *stand) metrics() (map[string]float64, error) {
	request, err := http.NewRequest("GET", "http://"+s.server.Addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	values := map[string]float64{}
	if response.StatusCode == http.StatusNotFound {
		return values, nil
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line[:at], "{")
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		values[name] += value
	}
	return values, nil
}

// spare is how many goroutines may be more or fewer: the runtime's own, and that of the request that counts them.
const spare = 5

func (c counters) near(other counters) bool {
	d := c.goroutines - other.goroutines
	return c.descriptors == other.descriptors && c.connections == other.connections && c.members == other.members && d <= spare && d >= -spare
}

// returned waits until the counters are what they were.
func (s *stand) returned(before counters) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; <-tick.C {
		now, err := s.count()
		if err != nil {
			return err
		}
		if now.near(before) {
			return nil
		}
		if time.Since(since) > 15*time.Second {
			return fmt.Errorf("after 15 s the counters are %+v, before it was %+v", now, before)
		}
	}
}

// A verdict is what the oracle has to say of a row.
type verdict struct {
	p99  time.Duration // of the bystanders' messages meanwhile
	took time.Duration
}

// watch runs a row beside the bystanders and then asks the oracle: nobody else may have noticed, and nothing may be left.
func (s *stand) watch(t *testing.T, run func(t *testing.T)) (v verdict) {
	t.Helper()
	before, err := s.count()
	if err != nil {
		t.Fatal(err)
	}
	logged, since := len(s.server.Log()), time.Now()
	s.dialled.Store(0)
	t.Run("row", run) // a test of its own: its connections are closed when it ends
	v.p99, err = s.crowd.settle()
	if err != nil {
		t.Error(err)
	}
	if err := s.returned(before); err != nil {
		t.Error(err)
	}
	v.took = time.Since(since)
	log := s.server.Log()[logged:]
	if lines := strings.Count(log, "\n"); lines > 10*int(max(1, s.dialled.Load())) {
		t.Errorf("%d lines of log for %d connections:\n%.2000s", lines, s.dialled.Load(), log)
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "{") || strings.ContainsAny(line, "\x1b\r") || strings.Contains(line, "goroutine ") || strings.Contains(line, `"level":"error"`) {
			t.Errorf("in the log: %q", line)
		}
	}
	s.crowd.forget()
	return v
}
