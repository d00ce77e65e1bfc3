package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestCostsInMemory: 10,000 handshakes at once may not make the process much larger, neither while they last nor a second later. A
// server without a history may grow by 96 MiB; one that holds 300 MiB of it may have half as much again in use. These are bounds on
// memory and not on time, so they hold on a busy machine.
func TestCostsInMemory(t *testing.T) {
	onlySoak(t)
	const connections = 10_000
	t.Run("empty", func(t *testing.T) {
		s := doyasa.Start(t)
		idle, most, after := storm(t, s, connections)
		if bound := idle + 96<<20; most > bound || after > bound {
			t.Errorf("want at most %d MiB", bound>>20)
		}
	})
	t.Run("300 MiB of history", func(t *testing.T) {
		s := doyasa.Start(t, "--history-messages", "1000000", "--history-bytes", "1GiB", "--history-total-bytes", "1GiB",
			"--limits-text-bytes", "64KiB", "--limits-messages-per-second", "0")
		fill(t, s, 300<<20)
		idle, most, after := storm(t, s, connections)
		if idle < 300<<20 {
			t.Errorf("%d MiB in use after filling: the history is not in memory", idle>>20)
		}
		if bound := idle * 3 / 2; most > bound || after > bound {
			t.Errorf("want at most %d MiB", bound>>20)
		}
	})
}

// storm lets connections come as fast as they can and returns the bytes of memory that the server had in use before, the most
// meanwhile, and one second after the last handshake.
func storm(t *testing.T, s *doyasa.Server, connections int) (idle, most, after int) {
	t.Helper()
	idle = settledRSS(t, s)
	growth := s.WatchRSS(t)
	status, stdout, stderr := doyasa.Run(t, t.TempDir(), nil, "bench", "--json", "--url", "ws://"+s.Addr+"/websocket", "--pid", strconv.Itoa(s.PID()),
		"--connections", strconv.Itoa(connections), "--idle", "--warm-up", "1s", "--duration", "1s")
	most = idle + growth()
	var report struct {
		Server struct {
			Start           int     `json:"rss_start"` // after the warm-up, which begins with the last handshake
			CPUPerHandshake float64 `json:"cpu_per_handshake_us"`
		} `json:"server"`
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 || report.Server.Start == 0 {
		t.Fatalf("doyasa bench: status %d, %v, stderr %s\n%s", status, err, stderr, stdout)
	}
	after = report.Server.Start
	t.Logf("%d MiB in use before %d handshakes, at most %d meanwhile, %d one second after; %.0f µs of CPU time for each",
		idle>>20, connections, most>>20, after>>20, report.Server.CPUPerHandshake)
	return idle, most, after
}

// settledRSS waits until the memory in use has stopped falling: the runtime gives back what it does not need bit by bit.
func settledRSS(t *testing.T, s *doyasa.Server) int {
	t.Helper()
	for last := -1; ; time.Sleep(time.Second) { // the interval of the comparison
		now, err := s.RSS()
		if err != nil {
			doyasa.Skip(t, "no memory figure of another process here: "+err.Error())
		}
		if last >= 0 && last-now < 1<<20 {
			return now
		}
		last = now
	}
}

// fill says messages over the API until they have as many bytes of text.
func fill(t *testing.T, s *doyasa.Server, size int) {
	t.Helper()
	const length = 60_000
	text := bytes.Repeat([]byte("x"), length)
	client := http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for i := range size/length + 1 {
		response, err := client.Post(fmt.Sprintf("http://%s/api/rooms/full/messages?name=%d", s.Addr, i), "text/plain", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode/100 != 2 || err != nil || !strings.Contains(string(answer), `"seq"`) {
			t.Fatalf("message %d: %s %.200s, %v", i, response.Status, answer, err)
		}
	}
}
