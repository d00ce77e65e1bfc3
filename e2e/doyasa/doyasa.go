// Package doyasa builds the real binary and runs it as a process on loopback, for tests that know it from outside only. It must not
// know anything of the program but its command line, its log and /readyz.
package doyasa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Skip leaves a test that this machine cannot run; where CI is set, it must be able to.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Main runs a package's tests. TestMain calls it. The binaries are built into the folder DOYASA_BINARIES, so that packages can share
// them, or into one of the package's own, removed at the end. What go test caches does not depend on the binary: use -count=1 or, as
// make test does, -shuffle=on, after changing the server alone.
func Main(m *testing.M) {
	dir, own := os.Getenv("DOYASA_BINARIES"), ""
	if dir == "" {
		var err error
		if own, err = os.MkdirTemp("", "doyasa-e2e-"); err != nil {
			panic(err)
		}
		dir = own
	}
	plain.path = filepath.Join(dir, "doyasa")
	race.path = filepath.Join(dir, "doyasa-race")
	portable.path = filepath.Join(dir, "doyasa-portable")
	status := m.Run()
	if own != "" {
		os.RemoveAll(own)
	}
	os.Exit(status)
}

// A binary is built when it is first asked for; one that is there and up to date is not linked again.
type binary struct {
	path string
	args []string
	once sync.Once
	err  error
}

var (
	plain = binary{}
	race  = binary{args: []string{"-race"}}
	// portable has the loop that runs everywhere, where plain has the one of this system.
	portable = binary{args: []string{"-tags", "portable"}}
)

// A Starter is Start for one of the programs that tests are run against.
type Starter func(t testing.TB, flags ...string) *Server

// EachSockets runs a test against both implementations of the sockets: the system's own and the portable one.
func EachSockets(t *testing.T, test func(t *testing.T, start Starter)) {
	t.Run("own", func(t *testing.T) { test(t, Start) })
	t.Run("portable", func(t *testing.T) {
		test(t, func(t testing.TB, flags ...string) *Server {
			t.Helper()
			return start(t, &portable, flags)
		})
	})
}

// Run runs the program with arguments in a folder until it ends, and fails the test when it does not within patience. env are
// variables besides the test's own, of which those of doyasa are left out.
func Run(t testing.TB, dir string, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	if err := plain.build(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, plain.path, args...)
	cmd.Dir, cmd.Env = dir, append(environ(), env...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("doyasa %q still runs after %v; stdout\n%s\nstderr\n%s", args, patience, &o, &e)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// environ is the environment without the variables that configure doyasa.
func environ() (env []string) {
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "DOYASA_") {
			env = append(env, variable)
		}
	}
	return env
}

func (b *binary) build() error {
	b.once.Do(func() {
		root, err := projectRoot()
		if err != nil {
			b.err = err
			return
		}
		cmd := exec.Command("go", append(append([]string{"build"}, b.args...), "-o", b.path, "./cmd/doyasa")...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	})
	return b.err
}

// projectRoot is the nearest folder above that holds the command.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "cmd", "doyasa", "main.go"))
		if err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return "", fmt.Errorf("no cmd/doyasa above the working directory: %w", err)
		}
		dir = parent
	}
}

// Command is a command line of the binary that has not been started; the test's end kills it.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	if err := plain.build(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), plain.path, args...)
	cmd.Dir = t.TempDir()
	return cmd
}
