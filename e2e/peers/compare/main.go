// Command compare measures doyasa beside the smallest possible broadcast server (see limit) and beside rooms on other libraries.
// It runs them in turns, with the same load generator (doyasa bench) and the same load. Each server is started afresh and has
// cores of its own. The result is the median of the ratios within the rounds, because single figures change with the machine and
// ratios hardly do.
//
// It builds what it needs; run it from anywhere in this module.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const module = "github.com/doyasa/doyasa"

// results is the content of the result file: the latest result of each scenario.
type results struct {
	Machine   string            `json:"machine"`
	Scenarios map[string]result `json:"scenarios"`
}

// result is the result of one scenario.
type result struct {
	Title   string             `json:"title"`
	When    string             `json:"when"`
	Commit  string             `json:"commit"`
	Rounds  int                `json:"rounds"`
	Load    string             `json:"load"` // arguments of doyasa bench
	Points  []point            `json:"points"`
	Medians map[string]figures `json:"medians"` // by run
}

func main() {
	names := flag.String("scenario", "all", "`names` with commas between, or all: "+strings.Join(scenarioNames(), " "))
	rounds := flag.Int("rounds", 0, "rounds; 0: as many as the scenario wants")
	seconds := flag.Int("seconds", 0, "measured seconds of each run; 0: as many as the scenario wants")
	serverCPU := flag.String("server-cpu", "0", "`cores` of the server, with commas between")
	loadCPU := flag.String("load-cpu", "1", "`cores` of the load generator")
	out := flag.String("out", "", "JSON `file`: what was measured replaces what it has of the same scenario")
	binary := flag.String("doyasa", "", "`path` of the program to measure; built from this tree when empty")
	flag.Parse()
	err := prepare(*binary, func(dir, network string) error {
		return run(*names, *rounds, *seconds, *serverCPU, *loadCPU, *out, dir, network)
	})
	if status, ok := errors.AsType[exitStatus](err); ok {
		os.Exit(int(status))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// prepare builds the programs, and measures in a separate network namespace if that is allowed.
func prepare(binary string, measure func(dir, network string) error) error {
	if dir := os.Getenv(inNamespace); dir != "" {
		if err := loopbackUp(); err != nil {
			return err
		}
		return measure(dir, "network namespace of its own")
	}
	dir, err := os.MkdirTemp("", "doyasa-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(dir, binary); err != nil {
		return err
	}
	started, err := again(dir)
	if started {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok { // the child has printed the reason already
			return exitStatus(exit.ExitCode())
		}
		return err
	}
	fmt.Fprintf(os.Stderr, "compare: no network namespace of its own (%v): the packet filters of this machine are measured as well\n", err)
	return measure(dir, "network of the machine")
}

// exitStatus is a failure whose reason has been printed already.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func run(names string, rounds, seconds int, serverCPU, loadCPU, out, dir, network string) error {
	all := results{Scenarios: make(map[string]result)}
	if out != "" {
		if old, err := os.ReadFile(out); err == nil {
			if err := json.Unmarshal(old, &all); err != nil {
				return fmt.Errorf("%s: %w", out, err)
			}
		}
	}
	all.Machine = machine() + ", " + network
	if names == "all" {
		names = strings.Join(scenarioNames(), ",")
	}
	var missed []string
	for name := range strings.SplitSeq(names, ",") {
		at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if at < 0 {
			return fmt.Errorf("no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
		}
		s := scenarios[at]
		if rounds > 0 {
			s.rounds = rounds
		}
		if seconds > 0 {
			s.seconds = seconds
		}
		r, err := s.measure(&bench{dir: dir, serverCPU: serverCPU, loadCPU: loadCPU})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, p := range r.Points {
			if !p.Held {
				missed = append(missed, name+": "+p.What)
			}
		}
		all.Scenarios[name] = r
		if out != "" { // write after each scenario, so that an interruption loses only one
			if err := write(out, all); err != nil {
				return err
			}
		}
	}
	if len(missed) > 0 {
		return errors.New("short of the goal:\n  " + strings.Join(missed, "\n  "))
	}
	return nil
}

func write(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// build puts all programs into dir.
func build(dir, binary string) error {
	servers := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, name := range []string{"limit", "gorilla", "gws", "gobwas", "coder"} {
		servers = append(servers, module+"/e2e/peers/"+name)
	}
	commands := [][]string{servers}
	if binary == "" {
		root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			return fmt.Errorf("go list -m %s: %w", module, err)
		}
		commands = append(commands, []string{"build", "-C", strings.TrimSpace(string(root)), "-o", filepath.Join(dir, "doyasa"), "./cmd/doyasa"})
	} else {
		absolute, err := filepath.Abs(binary)
		if err != nil {
			return err
		}
		if err := os.Symlink(absolute, filepath.Join(dir, "doyasa")); err != nil {
			return err
		}
	}
	for _, args := range commands {
		if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, text)
		}
	}
	return nil
}

// machine describes the machine on which the figures were measured.
func machine() string {
	cpu := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), cpu, strings.TrimSpace(string(kernel)), runtime.Version())
}

func commit() string {
	b, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }
