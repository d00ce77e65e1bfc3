package main

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// composeEnvironment returns the variables that docker-compose.yml gives the server when its own environment has those of host.
func composeEnvironment(t *testing.T, host map[string]string) (environ []string) {
	t.Helper()
	b, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`\$\{(\w+):-([^}]*)\}`)
	for _, m := range regexp.MustCompile(`(?m)^ {6}(DOYASA_\w+): "?(.*?)"?(?: #.*)?$`).FindAllStringSubmatch(string(b), -1) {
		environ = append(environ, m[1]+"="+reference.ReplaceAllStringFunc(m[2], func(s string) string {
			parts := reference.FindStringSubmatch(s)
			if text := host[parts[1]]; text != "" {
				return text
			}
			return parts[2]
		}))
	}
	return environ
}

// With the environment of docker-compose.yml the first screen is for people: a sentence with the address that the engine publishes.
func TestFirstScreenOfCompose(t *testing.T) {
	for _, row := range []struct {
		host   map[string]string
		want   string
		warned bool
	}{
		{nil, "http://localhost:3000", true},
		{map[string]string{"DOYASA_PORT": "8080"}, "http://localhost:8080", true},
		{map[string]string{"DOYASA_PORT": "127.0.0.1:8080"}, "http://localhost:8080", false},
	} {
		environ := composeEnvironment(t, row.host)
		cmd := exec.Command(os.Args[0], "--listen", ":0", "--ops-listen", "127.0.0.1:0", "--history-dir", t.TempDir())
		cmd.Dir, cmd.Env = t.TempDir(), append(append(os.Environ(), "RUN_MAIN=1"), environ...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var screen strings.Builder
		for s := bufio.NewScanner(out); s.Scan(); {
			screen.WriteString(s.Text() + "\n")
			if strings.Contains(s.Text(), " in two tabs") {
				cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		cmd.Wait()
		got := screen.String()
		if !strings.Contains(got, " INF doyasa is ready: open "+row.want+" in two tabs ") || strings.Contains(got, "public_url is not set") != row.warned ||
			strings.Contains(got, "no setting is called") {
			t.Errorf("with %v and %q the first screen is\n%swant the sentence with %s, and warned is %v", row.host, environ, got, row.want, row.warned)
		}
	}
}
