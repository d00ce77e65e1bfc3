package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 3 * time.Minute // a safety net, not a measure

// TestMain lets the test binary be doyasa itself, so that tests see the real process: its signals, its exit status, its files.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_MAIN") == "1" {
		main()
	}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "DOYASA_") {
			name, _, _ := strings.Cut(entry, "=")
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// call runs a command line inside the test.
func call(environ []string, args ...string) (status int, stdout, stderr string) {
	var o, e bytes.Buffer
	status = run(args, environ, &o, &e)
	return status, o.String(), e.String()
}

// process is a running doyasa.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer // read after wait only
	lines  chan string  // its log, from the goroutine in start, which closes it
	seen   []string     // the lines taken so far
}

// start runs doyasa with JSON logs in an empty folder until the test ends.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startWith(t, nil, args...)
}

// startWith is start with variables added to the environment.
func startWith(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environ
	return startAs(t, cmd)
}

// startAs is start with a command line that runs the test binary in some other way. Its Env is added to the environment.
func startAs(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1000)}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(append(os.Environ(), "RUN_MAIN=1", "DOYASA_LOG_FORMAT=json"), cmd.Env...)
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		io.Copy(io.Discard, stdout)
	}()
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			for range p.lines { // Wait must not come before the pipe is read
			}
			p.cmd.Wait()
		}
	})
	return p
}

// logged waits for the line whose message contains text and returns its fields.
func (p *process) logged(text string) map[string]any {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.cmd.Wait()
				p.t.Fatalf("doyasa ended without logging %q; log:\n%s\nstderr:\n%s", text, strings.Join(p.seen, "\n"), &p.stderr)
			}
			p.seen = append(p.seen, line)
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				p.t.Fatalf("log line %q: %v", line, err)
			}
			if message, _ := fields["message"].(string); strings.Contains(message, text) {
				return fields
			}
		case <-deadline:
			p.t.Fatalf("%q is not logged within %v; log:\n%s", text, patience, strings.Join(p.seen, "\n"))
		}
	}
}

// ready waits until the server listens and returns where.
func (p *process) ready() (address string) {
	p.t.Helper()
	address, _ = p.logged("doyasa is ready")["address"].(string)
	return address
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit status and the whole log.
func (p *process) wait() (status int, log string) {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), strings.Join(p.seen, "\n")
}
