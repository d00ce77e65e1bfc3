package doyasa

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience limits every wait for the process. It is only a safety net: no test measures time with it.
const patience = 3 * time.Minute

// A Server is one running process. It is stopped when its test ends. The test fails if the process does not stop by itself then,
// or if its log has a panic, a data race or an error of the server.
type Server struct {
	Addr string // "127.0.0.1:port" of the page, the WebSocket and the API

	t   testing.TB
	cmd *exec.Cmd

	expected string        // lines of the log that contain this text do not fail the test; "" if there are none
	done     chan struct{} // closed when the process has ended and its log is complete

	mu     sync.Mutex
	log    strings.Builder // guarded by mu: stdout and stderr
	grown  chan struct{}   // guarded by mu: closed and replaced when log has grown
	waited bool            // guarded by mu: the test has waited for the end itself
}

// Start runs the server with flags and returns when it is ready. Unless flags name a port, it uses a free one.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	return start(t, &plain, flags)
}

// StartRace does what Start does, with the race detector built in. With go test -short it is the same as Start, so that no second
// binary must be built.
func StartRace(t testing.TB, flags ...string) *Server {
	t.Helper()
	if testing.Short() {
		return Start(t, flags...)
	}
	if _, err := exec.LookPath("gcc"); err != nil && os.Getenv("CC") == "" {
		Skip(t, "the race detector needs a C compiler")
	}
	return start(t, &race, flags)
}

func start(t testing.TB, b *binary, flags []string) *Server {
	t.Helper()
	if err := b.build(); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, done: make(chan struct{}), grown: make(chan struct{})}
	args := []string{"serve", "--log-format", "json"}
	if !slices.Contains(flags, "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	if !slices.Contains(flags, "--limits-rooms-per-minute-per-ip") { // all clients of a test have one address, and each case has its own room
		args = append(args, "--limits-rooms-per-minute-per-ip", "0")
	}
	s.cmd = exec.Command(b.path, append(args, flags...)...)
	s.cmd.Dir = t.TempDir() // a folder without config.yaml
	s.cmd.Env = environ()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	go s.follow(r)
	t.Cleanup(s.stop)
	s.Addr, _ = s.Logged("doyasa is ready")["address"].(string)
	s.waitReady()
	return s
}

// follow collects the log until the process has closed it, and then waits for the process.
func (s *Server) follow(r io.ReadCloser) {
	defer close(s.done)
	defer r.Close()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		s.mu.Lock()
		s.log.WriteString(line)
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			s.cmd.Wait() // the status is in ProcessState
			return
		}
	}
}

// waitReady asks /readyz until the server is ready.
func (s *Server) waitReady() {
	s.t.Helper()
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	addr := s.Addr
	if i := slices.Index(s.cmd.Args, "--ops-listen"); i > 0 {
		addr = s.cmd.Args[i+1]
	}
	for deadline := time.Now().Add(patience); ; <-again.C {
		response, err := client.Get("http://" + addr + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("/readyz is not 200 within %v: %v %v", patience, response, err)
		}
	}
}

// PID is the process's id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns what the process has printed so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Logged waits for a line of the log that contains text and returns its fields.
func (s *Server) Logged(text string) map[string]any {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		log, grown := s.log.String(), s.grown
		s.mu.Unlock()
		for line := range strings.Lines(log) {
			var fields map[string]any
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &fields) == nil {
				return fields
			}
		}
		select {
		case <-grown:
		case <-s.done:
			s.t.Fatalf("ended without a line %q in its log:\n%s", text, s.Log())
		case <-deadline:
			s.t.Fatalf("no line %q in the log within %v:\n%s", text, patience, s.Log())
		}
	}
}

// Terminate sends SIGTERM.
func (s *Server) Terminate() { s.cmd.Process.Signal(syscall.SIGTERM) }

// Expect says that lines of the log with this text do not fail the test, because the test causes them.
func (s *Server) Expect(text string) { s.expected = text }

// Kill ends the process at once with SIGKILL, and returns when it has ended.
func (s *Server) Kill() {
	s.mu.Lock()
	s.waited = true
	s.mu.Unlock()
	s.cmd.Process.Kill()
	<-s.done
}

// Wait waits until the process ends, which the test has caused, and returns its exit status.
func (s *Server) Wait(timeout time.Duration) int {
	s.t.Helper()
	s.mu.Lock()
	s.waited = true
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(timeout):
		s.cmd.Process.Signal(syscall.SIGQUIT) // to print the stacks of all goroutines
		select {
		case <-s.done:
		case <-time.After(patience):
			s.cmd.Process.Kill()
			<-s.done
		}
		s.t.Fatalf("still running after %v; log\n%s", timeout, tail(s.Log(), 20_000))
	}
	return s.cmd.ProcessState.ExitCode()
}

// bad has the texts that no log may contain: each shows a fault of the server, whatever the test is about.
var bad = regexp.MustCompile(`DATA RACE|panic|fatal error|"level":"(error|fatal)"`)

// stop ends the process when its test ends.
func (s *Server) stop() {
	s.mu.Lock()
	waited := s.waited
	s.mu.Unlock()
	if !waited {
		s.Terminate()
		if status := s.Wait(patience); status != 0 {
			s.t.Errorf("after SIGTERM: status %d, want 0", status)
		}
	}
	log := s.Log()
	if s.expected != "" {
		kept := ""
		for line := range strings.Lines(log) {
			if !strings.Contains(line, s.expected) {
				kept += line
			}
		}
		log = kept
	}
	if at := bad.FindStringIndex(log); at != nil {
		s.t.Errorf("the server's log tells of trouble:\n%s", tail(log[:min(len(log), at[1]+8000)], 10_000))
	} else if s.t.Failed() {
		s.t.Logf("the server's log:\n%s", tail(log, 4000))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
