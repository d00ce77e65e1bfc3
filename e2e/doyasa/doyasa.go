// Package doyasa builds the real binary and runs it as a process on loopback, for tests that use it only from outside. It may
// know only the command line of the program, its log and /readyz.
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

// Long marks a test that runs only in make test-all. go test -short skips it, and so does make test.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
}

// Skip skips a test that this machine cannot run. With CI=true the test fails instead, because CI must be able to run every test.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Main runs the tests of a package, and then each function in after. TestMain calls it. It builds the binaries into the folder
// DOYASA_BINARIES, so that packages can share them. If that is not set, it uses a temporary folder and removes it at the end. The
// cache of go test does not notice a new binary. So after a change to the server alone, use -count=1 or, as make test does,
// -shuffle=on.
func Main(m *testing.M, after ...func()) {
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
	for _, end := range after {
		end()
	}
	if own != "" {
		os.RemoveAll(own)
	}
	os.Exit(status)
}

// A binary is built when it is first needed. If the file is there and up to date, it is not linked again.
type binary struct {
	path string
	args []string
	once sync.Once
	err  error
}

var (
	plain = binary{}
	race  = binary{args: []string{"-race"}}
	// portable has the portable loop; plain has the loop of this system.
	portable = binary{args: []string{"-tags", "portable"}}
)

// A Starter does what Start does, for one of the binaries that are tested.
type Starter func(t testing.TB, flags ...string) *Server

// EachSockets runs a test against both loops: that of this system and the portable one. go test -short leaves out the portable
// one.
func EachSockets(t *testing.T, test func(t *testing.T, start Starter)) {
	t.Run("own", func(t *testing.T) { test(t, Start) })
	t.Run("portable", func(t *testing.T) {
		Long(t)
		test(t, func(t testing.TB, flags ...string) *Server {
			t.Helper()
			return start(t, &portable, flags)
		})
	})
}

// Run runs the program with arguments in a folder until it ends. The test fails if that takes longer than patience. The program
// gets the variables in env, and those of the test except the ones that configure doyasa.
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

// environ returns the environment without the variables that configure doyasa.
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

// projectRoot returns the nearest parent folder that holds the command.
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

// Command returns a command of the binary that is not started yet. It is killed when the test ends.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	if err := plain.build(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), plain.path, args...)
	cmd.Dir = t.TempDir()
	return cmd
}
