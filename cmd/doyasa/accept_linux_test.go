package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The real server when accept4(2) fails, as strace has it fail: it goes on, serves the client that was waiting, and stops in order.
func TestServeWhileAcceptFails(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "/bin/true").CombinedOutput(); err != nil {
		t.Skipf("strace may not run here: %v %s", err, out)
	}
	for _, name := range []string{"ENOBUFS", "ENOMEM", "EPROTO", "EPERM", "ENETDOWN"} {
		t.Run(name, func(t *testing.T) {
			p := startAs(t, exec.Command(strace, "-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-e", "trace=accept4",
				"-e", "inject=accept4:error="+name+":when=1..3", os.Args[0], "--listen", "127.0.0.1:0"))
			address := p.ready()
			if got := get(t, "http://"+address+"/healthz"); got != 200 {
				t.Errorf("/healthz answers %d, want 200", got)
			}
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			status, log := p.wait()
			if lines := strings.Count(log, "cannot accept connections; trying again"); status != 0 || lines < 1 || lines > 3 {
				t.Errorf("status %d, log\n%s\nwant 0, and a line a second about the failing accepts", status, log)
			}
		})
	}
}
