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
	"github.com/doyasa/doyasa/e2e/wire"
)

// A stand is the one server of a run, with its bystanders and with what is known of it.
type stand struct {
	server  *doyasa.Server
	start   doyasa.Starter
	crowd   *crowd
	timers  timers
	before  counters           // with nobody but the bystanders
	dialled atomic.Int64       // connections of strangers in the row that runs
	codes   [5000]atomic.Int64 // of the Close frames that strangers have got in it
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
	descriptors, connections, members, assembling, panics int
	goroutines                                            int // besides those of rooms, which stay until they are retired
}

// count reads the counters. Descriptors are counted by the system, the rest by the server.
func (s *stand) count() (c counters, err error) {
	m, err := s.metrics()
	if err != nil {
		return c, err
	}
	c.connections, c.members = int(m["doyasa_connections"]), int(m["doyasa_members"])
	c.assembling, c.panics = int(m["doyasa_assembling_bytes"]), int(m["doyasa_panics_total"])
	c.goroutines = int(m["go_goroutines"] - m["doyasa_rooms"])
	c.descriptors, err = descriptors(s.server.PID())
	return c, err
}

// settled reads the counters a few times and takes the fewest descriptors: one more may be that of a reading.
func (s *stand) settled(t *testing.T) counters {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	least, err := s.count()
	for range 5 {
		<-tick.C
		var now counters
		if now, err = s.count(); now.descriptors < least.descriptors {
			least = now
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return least
}

// descriptors counts the open files of a process.
func descriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}

// metrics reads /metrics, by the names with their labels and, summed up, without. It does not keep the connection.
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
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", response.Status)
	}
	values := map[string]float64{}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		name, _, labels := strings.Cut(line[:at], "{")
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		values[name] += value
		if labels {
			values[line[:at]] = value
		}
	}
	return values, nil
}

// spare is how many goroutines may be more or fewer: the runtime's own, and that of the request that counts them.
const spare = 5

func (c counters) near(other counters) bool {
	d := c.goroutines - other.goroutines
	c.goroutines = other.goroutines
	return c == other && d <= spare && d >= -spare
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
		if time.Since(since) > wire.Patience {
			return fmt.Errorf("after %v the counters are %+v, before the row they were %+v", wire.Patience, now, before)
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
	closes, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	clear(s.codes[:])
	logged, since := len(s.server.Log()), time.Now()
	s.dialled.Store(0)
	t.Run("row", run) // a test of its own: its connections are closed when it ends
	v.p99, err = s.crowd.settle()
	if err != nil {
		t.Error(err)
	}
	if err := s.returned(s.before); err != nil {
		t.Error(err)
		s.before = s.settled(t) // it is this row's alone
	}
	v.took = time.Since(since)
	s.counted(t, closes)
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

// counted checks that the server has counted every Close frame that a stranger has got.
func (s *stand) counted(t *testing.T, before map[string]float64) {
	t.Helper()
	after, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]int{}
	for code := range s.codes {
		label := strconv.Itoa(code)
		switch {
		case code == 1005:
			label = "none"
		case code >= 3000:
			label = "3000 and above"
		}
		wanted[label] += int(s.codes[code].Load())
	}
	for label, n := range wanted {
		name := fmt.Sprintf("doyasa_closes_total{code=%q}", label)
		if counted := int(after[name] - before[name]); counted < n {
			t.Errorf("%s grew by %d, and strangers were closed with it %d times", name, counted, n)
		}
	}
}
