//go:build linux

package compose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deployment is one compose project and what is known of it.
type deployment struct {
	t       *testing.T
	command []string // docker compose, or docker-compose
	project string   // folder with the shipped files
	name    string
	port    string // on this machine
}

// compose runs a compose command on the project and returns what it printed.
func (d *deployment) compose(args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.command[0], append(append(d.command[1:len(d.command):len(d.command)], "-p", d.name), args...)...)
	cmd.Dir = d.project
	cmd.Env = append(os.Environ(), "DOYASA_PORT="+d.port)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Run(); err != nil {
		d.t.Errorf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, &b)
	}
	return b.String()
}

// container is what docker inspect says of it, as far as it is asked here.
type container struct {
	ID    string
	Image string
	State struct {
		Running       bool
		Pid, ExitCode int
		Health        struct{ Status string }
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostPort string }
	}
}

func (d *deployment) inspect() (c container) {
	d.t.Helper()
	id := output(d.t, "docker", "ps", "-aq", "--filter", "label=com.docker.compose.project="+d.name)
	if id == "" || strings.Contains(id, "\n") {
		d.t.Fatalf("containers of %s: %q, want one", d.name, id)
	}
	var all []container
	if err := json.Unmarshal([]byte(output(d.t, "docker", "inspect", id)), &all); err != nil {
		d.t.Fatal(err)
	}
	return all[0]
}

// eventually asks until the answer is yes, and fails with what was missing if patience runs out.
func (d *deployment) eventually(what string, ask func() error) {
	d.t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			d.t.Fatalf("%s within %v: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

func (d *deployment) waitHealthy() {
	d.t.Helper()
	d.eventually("healthy", func() error {
		if status := d.inspect().State.Health.Status; status != "healthy" {
			return fmt.Errorf("health is %q", status)
		}
		return nil
	})
}

// checkHardening looks at the process itself, from outside, not at what was asked for.
func (d *deployment) checkHardening() {
	d.t.Helper()
	c := d.inspect()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.State.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(status)) {
		if name, text, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.Join(strings.Fields(text), " ")
		}
	}
	const none = "0000000000000000"
	for name, want := range map[string]string{
		"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "NoNewPrivs": "1", "Seccomp": "2",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
	} {
		if fields[name] != want {
			d.t.Errorf("%s of the process is %q, want %q", name, fields[name], want)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", c.State.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	options := map[string]string{} // by mount point
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 5 {
			options[f[4]] = f[5]
		}
	}
	for _, point := range []string{"/", "/config/config.yaml"} {
		if !strings.HasPrefix(options[point]+",", "ro,") {
			d.t.Errorf("%s is mounted %q, want read-only", point, options[point])
		}
	}
	if ports := c.NetworkSettings.Ports; len(ports) != 1 || len(ports["3000/tcp"]) == 0 || ports["3000/tcp"][0].HostPort != d.port {
		d.t.Errorf("published ports: %v, want 3000 on %s and nothing else", ports, d.port)
	}
}

func (d *deployment) checkImage() {
	d.t.Helper()
	var images []struct {
		Size   int64
		Config struct {
			User        string
			Labels      map[string]string
			Entrypoint  []string
			Healthcheck struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(output(d.t, "docker", "image", "inspect", d.inspect().Image)), &images); err != nil {
		d.t.Fatal(err)
	}
	image := images[0]
	d.t.Logf("the image has %.1f MB", float64(image.Size)/1e6)
	if image.Size >= 25e6 {
		d.t.Errorf("the image has %d bytes, want less than 25 MB", image.Size)
	}
	if got := fmt.Sprint(image.Config.User, " ", image.Config.Entrypoint, image.Config.Healthcheck.Test); got != "65532:65532 [/doyasa] [CMD /doyasa healthcheck]" {
		d.t.Errorf("user, entry point and health check of the image are %s", got)
	}
	if image.Config.Labels["org.opencontainers.image.licenses"] != "MIT" {
		d.t.Errorf("labels of the image are %v, want the OCI ones", image.Config.Labels)
	}
}

type message struct {
	Seq  uint64
	Text string
}

// history is what the API has of the default room.
func (d *deployment) history() (h struct {
	Epoch    string
	Messages []message
}) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.get("/api/rooms/doyasa/messages", http.StatusOK)), &h); err != nil {
		d.t.Fatal(err)
	}
	return h
}

func (d *deployment) address() string { return net.JoinHostPort("127.0.0.1", d.port) }

func (d *deployment) get(path string, status int) string {
	d.t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + d.address() + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		d.t.Errorf("%s: %s, %v; want %d", path, response.Status, err, status)
	}
	return string(body)
}

// dial connects as somebody does who comes back after a restart: again and again.
func (d *deployment) dial() (c *client) {
	d.t.Helper()
	d.eventually("connected", func() (err error) {
		c, err = dial(d.address())
		return err
	})
	d.t.Cleanup(func() { c.conn.Close() })
	return c
}

// say sends a text from one client and wants it to be the next thing each listener receives.
func (d *deployment) say(from *client, text string, listeners ...*client) {
	d.t.Helper()
	if err := from.send(opText, []byte(text)); err != nil {
		d.t.Fatal(err)
	}
	for i, c := range listeners {
		c.within(patience)
		if opcode, payload, err := c.receive(); opcode != opText || string(payload) != text || err != nil {
			d.t.Fatalf("client %d receives opcode %d, %.40q, %v; want the text %.40q", i+1, opcode, payload, err, text)
		}
	}
}

// edit changes config.yaml as editors do, by putting a new file in its place.
func (d *deployment) edit(from, to string) {
	d.t.Helper()
	file := filepath.Join(d.project, "config.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(from)) {
		d.t.Fatalf("no %q in %s", from, file)
	}
	d.t.Cleanup(func() { os.WriteFile(file, b, 0o644) }) // for the next variant
	if err := os.WriteFile(file+".new", bytes.Replace(b, []byte(from), []byte(to), 1), 0o644); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		d.t.Fatal(err)
	}
}
