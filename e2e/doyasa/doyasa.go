// Package doyasa builds the real binary and runs it as a process on loopback, for tests that know it from outside only. It must not
// know anything of the program but its command line, its log and /readyz.
package doyasa

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

// Main runs a package's tests with a folder for the binaries, removed at the end. TestMain calls it. What go test caches does not
// depend on the binary: use -count=1 or, as make test does, -shuffle=on, after changing the server alone.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "doyasa-e2e-")
	if err != nil {
		panic(err)
	}
	plain.path = filepath.Join(dir, "doyasa")
	race.path = filepath.Join(dir, "doyasa-race")
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// A binary is built once, when it is first asked for.
type binary struct {
	path string
	args []string
	once sync.Once
	err  error
}

var (
	plain = binary{}
	race  = binary{args: []string{"-race"}}
)

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
