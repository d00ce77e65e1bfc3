//go:build linux

// Package compose_test runs the shipped docker-compose.yml and Dockerfile, unmodified, on a real engine. It knows the program from
// outside only, and uses the standard library only.
package compose_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 5 * time.Minute // a safety net, not a measure

func TestCompose(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
	if b, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		skip(t, fmt.Sprintf("no container engine answers: %v %s", err, bytes.TrimSpace(b)))
	}
	variants := map[string][]string{}
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(command[0], append(command[1:], "version")...).Run() == nil {
			variants[strings.Join(command, " ")] = command
		}
	}
	if len(variants) == 0 {
		skip(t, "neither docker compose nor docker-compose is installed")
	}
	project := copyProject(t)
	for _, image := range baseImages(t, filepath.Join(project, "Dockerfile")) {
		standIn(t, project, image)
	}
	for name, command := range variants {
		t.Run(name, func(t *testing.T) { testCompose(t, command, project) })
	}
}

// testCompose is the life of one deployment.
func testCompose(t *testing.T, command []string, project string) {
	d := deployment{t: t, command: command, project: project, port: freePort(t)}
	d.name = fmt.Sprintf("doyasa-e2e-%d-%s", os.Getpid(), d.port)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs:\n%s", d.compose("logs", "--no-color"))
		}
		d.compose("down", "--volumes", "--rmi", "local")
	})

	d.compose("up", "-d", "--build")
	if t.Failed() {
		t.FailNow()
	}
	d.waitHealthy()
	d.checkHardening()
	d.checkImage()
	if body := d.get("/", http.StatusOK); !strings.Contains(body, "<html") {
		t.Errorf("/ is %q, want the page", body)
	}
	d.get("/healthz", http.StatusNotFound) // on ops_listen alone, which is not published

	first, second := d.dial(), d.dial()
	d.say(first, "どやさ", first, second)

	// Stop while both are connected: both are told to come back, and nothing had to be killed, as the exit status shows.
	stopped := make(chan struct{})
	go func() { defer close(stopped); d.compose("stop") }()
	for i, c := range []*client{first, second} {
		c.within(patience)
		if code, err := c.closing(); code != 1012 || err != nil {
			t.Errorf("client %d is closed with %d, %v; want 1012 service restart", i+1, code, err)
		}
	}
	<-stopped
	if state := d.inspect().State; state.ExitCode != 0 || state.Running {
		t.Errorf("after stop: %+v, want an exit status of 0", state)
	}

	d.compose("start")
	first, second = d.dial(), d.dial()
	d.say(second, "ただいま", first, second)
	d.waitHealthy()

	// The history is in the volume: a container that is made anew has it, and knows whoever comes back.
	before := d.history()
	d.compose("down")
	d.compose("up", "-d")
	d.waitHealthy()
	if after := d.history(); after.Epoch != before.Epoch || len(after.Messages) < 2 || fmt.Sprint(after.Messages) != fmt.Sprint(before.Messages) {
		t.Errorf("after down and up the history is %+v, want it as it was, %+v", after, before)
	}
	first, second = d.dial(), d.dial()
	d.say(first, "まだいる", first, second)

	d.checkBackup()

	first, second = d.dial(), d.dial()
	// A message that passed before is refused (1009) once an edited config.yaml is in effect.
	long := strings.Repeat("や", 2000)
	d.say(first, long, first, second)
	d.edit("message_bytes: 65536", "message_bytes: 4096")
	d.compose("restart")
	d.waitHealthy()
	third := d.dial()
	if err := third.send(opText, []byte(long)); err != nil {
		t.Fatal(err)
	}
	if code, err := third.closing(); code != 1009 || err != nil {
		t.Errorf("%d bytes after limits.message_bytes became 4096: closed with %d, %v; want 1009", len(long), code, err)
	}
}

// copyProject copies what is shipped, so that the test can edit config.yaml as a user does.
func copyProject(t *testing.T) string {
	t.Helper()
	source, project := filepath.Join("..", ".."), t.TempDir()
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		to := filepath.Join(project, rel)
		switch {
		case d.IsDir() && (rel == ".git" || rel == "e2e"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
