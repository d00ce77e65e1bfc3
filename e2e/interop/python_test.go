package interop_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// python is Debian's own interpreter, for which python3-websockets is packaged.
const python = "/usr/bin/python3"

// pythonChecks is how many checks testdata/client.py has.
const pythonChecks = 12

// TestPython runs testdata/client.py, whose checks are those of the other clients.
func TestPython(t *testing.T) {
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		doyasa.Skip(t, "python3-websockets is not installed")
	}
	s := start(t, "--limits-ping-interval", "2s", "--limits-pong-timeout", "1900ms")
	cmd := exec.CommandContext(t.Context(), python, "testdata/client.py", s.Addr)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checks := 0
	for line := range strings.Lines(string(out)) {
		verdict, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, why, _ := strings.Cut(rest, ": ")
		if verdict == "PASS" || verdict == "FAIL" {
			checks++
			t.Run(name, func(t *testing.T) {
				if verdict == "FAIL" {
					t.Error(why)
				}
			})
		}
	}
	if checks != pythonChecks {
		t.Errorf("%d checks ran, want %d:\n%s", checks, pythonChecks, out)
	}
}
