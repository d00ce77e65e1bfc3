// Package bench_test puts the load generator of the real binary on the server of the real binary: its verdict, its figures, its exit
// status. How fast anything is, is no matter here.
package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

// report is what is looked at of --json.
type report struct {
	Connections int      `json:"connections"`
	Rooms       int      `json:"rooms"`
	Sent        int64    `json:"sent"`
	Deliveries  int64    `json:"deliveries"`
	Stalled     int      `json:"stalled"`
	StalledGone int      `json:"stalled_gone"`
	OrderHash   string   `json:"order_hash"`
	Broken      []string `json:"broken"`
	Groups      []struct {
		Delivery     struct{ Count int64 } `json:"delivery"`
		LastReceiver struct{ Count int64 } `json:"last_receiver"`
	} `json:"groups"`
	Server *struct {
		PID             int     `json:"pid"`
		CPUPerDelivery  float64 `json:"cpu_per_delivery_us"`
		CPUPerHandshake float64 `json:"cpu_per_handshake_us"`
		RSSEmpty        int64   `json:"rss_empty"`
		RSSEnd          int64   `json:"rss_end"`
	} `json:"server"`
	Faults struct {
		Closed int64 `json:"closed"`
	} `json:"faults"`
}

// load runs doyasa bench --json against the server and returns what it says, with its exit status.
func load(t *testing.T, s *doyasa.Server, args ...string) (*report, int) {
	t.Helper()
	cmd := doyasa.Command(t, append([]string{"bench", "--json", "--url", "ws://" + s.Addr + "/websocket", "--warm-up", "100ms"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := new(report)
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		t.Fatalf("doyasa bench %q: %v\n%s%s", args, err, &stdout, &stderr)
	}
	t.Logf("doyasa bench %q: %d messages, %d deliveries, broken promises %q", args, r.Sent, r.Deliveries, r.Broken)
	return r, cmd.ProcessState.ExitCode()
}

// kept fails unless every promise was kept and every message reached everybody.
func kept(t *testing.T, r *report, status int, receivers int64) {
	t.Helper()
	if status != 0 || len(r.Broken) > 0 {
		t.Errorf("exit status %d, broken promises %q", status, r.Broken)
	}
	if receivers > 0 && (r.Sent == 0 || r.Deliveries != r.Sent*receivers) {
		t.Errorf("%d messages and %d deliveries; want %d of each", r.Sent, r.Deliveries, receivers)
	}
}

// The room's promises hold in both forms of the wire, at a rate and in a flood, for small messages and large; and the server's process
// is found by its port.
func TestKept(t *testing.T) {
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	for _, form := range []string{"raw", "doyasa.v1"} {
		r, status := load(t, s, "--form", form, "--connections", "200", "--rate", "100", "--duration", "1s")
		kept(t, r, status, 200)
		if len(r.Groups) != 1 || r.Groups[0].Delivery.Count != r.Deliveries || r.Groups[0].LastReceiver.Count != r.Sent {
			t.Errorf("%s: groups %+v do not count what was measured", form, r.Groups)
		}
		if runtime.GOOS == "linux" {
			if v := r.Server; v == nil || v.PID != s.PID() || v.CPUPerDelivery <= 0 || v.CPUPerHandshake <= 0 || v.RSSEmpty <= 0 || v.RSSEnd <= 0 {
				t.Errorf("%s: the server's process is %+v, want its figures and %d", form, v, s.PID())
			}
		}
		r, status = load(t, s, "--form", form, "--connections", "100", "--senders", "4", "--flood", "8", "--duration", "1s")
		kept(t, r, status, 0)
		if r.Deliveries == 0 {
			t.Errorf("%s: a flood delivered nothing", form)
		}
	}
	r, status := load(t, s, "--connections", "20", "--size", "65536", "--rate", "20", "--duration", "1s")
	kept(t, r, status, 20)
}

// Several rooms at once, from several addresses: nothing strays, and each kind of room is counted by itself.
func TestRooms(t *testing.T) {
	doyasa.Long(t)
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	args := []string{"--connections", "100", "--rooms", "4", "--senders", "2", "--rate", "40", "--beside", "rooms=3,members=5,rate=20", "--duration", "1s"}
	if runtime.GOOS == "linux" { // elsewhere the loopback has one address
		args = append(args, "--sources", "127.0.0.2-127.0.0.5")
	}
	r, status := load(t, s, args...)
	kept(t, r, status, 0)
	if r.Rooms != 7 || len(r.Groups) != 2 || r.Groups[0].Delivery.Count != 25*r.Groups[0].LastReceiver.Count ||
		r.Groups[1].Delivery.Count != 5*r.Groups[1].LastReceiver.Count || r.Groups[1].LastReceiver.Count == 0 {
		t.Errorf("%d rooms, groups %+v; want 7, 25 deliveries for each message of the one and 5 of the other", r.Rooms, r.Groups)
	}
}

// Members that stop reading are let go, and the others have everything.
func TestStalled(t *testing.T) {
	doyasa.Long(t)
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-slow-timeout", "2s")
	// Enough to fill the buffers of the kernel on both sides; at a rate, since in a flood a busy machine overtakes those that do read.
	r, status := load(t, s, "--connections", "20", "--stalled", "3", "--senders", "2", "--rate", "100", "--size", "32768", "--duration", "5s")
	kept(t, r, status, 0)
	if r.Stalled != 3 || r.StalledGone != 3 {
		t.Errorf("%d stalled, %d of them gone; want 3, 3", r.Stalled, r.StalledGone)
	}
}

// A server that goes away breaks its promises: status 1, and the reason.
func TestBroken(t *testing.T) {
	s := doyasa.Start(t)
	cmd := doyasa.Command(t, "bench", "--url", "ws://"+s.Addr+"/websocket", "--connections", "50", "--duration", "1m", "--rate", "20")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForMessages(t, s)
	s.Terminate()
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(stdout.String(), "50 connections closed by the server") ||
		!strings.Contains(stdout.String(), "Close 1012") || !strings.HasSuffix(stderr.String(), "\ndoyasa: the server did not keep every promise\n") {
		t.Errorf("status %d, stdout\n%s\nstderr\n%s", status, &stdout, &stderr)
	}
}

// waitForMessages waits until the load is on.
func waitForMessages(t *testing.T, s *doyasa.Server) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-again.C {
		response, err := http.Get("http://" + s.Addr + "/api/rooms/bench/messages")
		if err != nil {
			t.Fatal(err)
		}
		var page struct{ Last int }
		err = json.NewDecoder(response.Body).Decode(&page)
		response.Body.Close()
		if err == nil && page.Last >= 5 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no load after half a minute: %+v, %v", page, err)
		}
	}
}

// Without a server: status 1 and a question.
func TestNobody(t *testing.T) {
	cmd := doyasa.Command(t, "bench", "--url", "ws://127.0.0.1:1/websocket", "--connections", strconv.Itoa(3))
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(string(out), "\ndoyasa: is the server running?") {
		t.Errorf("status %d\n%s", status, out)
	}
}
