package proxy_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// haproxyBlock is the configuration that operations.md shows.
var haproxyBlock = regexp.MustCompile("(?s)```haproxy\n(.*?)```")

// freePort returns an address of this machine that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
}

// startHAProxy runs HAProxy with a configuration, and with a page of figures. It returns the address of that page.
func startHAProxy(t *testing.T, config string) (stats string) {
	t.Helper()
	stats = freePort(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config += "\nlisten stats\n    bind " + stats + "\n    mode http\n    timeout client 1m\n    timeout server 1m\n    timeout connect 5s\n    stats enable\n    stats uri /\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", file)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy says:\n%s", &log)
		}
	})
	return stats
}

// checked waits until HAProxy has checked all servers and returns what it says of each: "UP L7OK 204".
func checked(t *testing.T, stats string) map[string]string {
	t.Helper()
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
		if time.Now().After(deadline) {
			t.Fatal("HAProxy does not tell the results of its checks")
		}
		response, err := client.Get("http://" + stats + "/;csv")
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(body), "# "))).ReadAll()
		if err != nil || len(rows) == 0 {
			t.Fatalf("%v in %s", err, body)
		}
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		said, waiting := map[string]string{}, false
		for _, row := range rows[1:] {
			if check := row[column["check_status"]]; row[column["svname"]] == "doyasa" {
				said[row[column["pxname"]]] = fmt.Sprint(row[column["status"]], " ", check, " ", row[column["check_code"]])
				waiting = waiting || !strings.HasPrefix(check, "L")
			}
		}
		if len(said) > 0 && !waiting {
			return said
		}
	}
}

// Every health check that HAProxy's documentation shows finds a server that is up; most of them are HTTP/1.0 without Host, with OPTIONS.
func TestHAProxyChecks(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		doyasa.Skip(t, "haproxy is not here")
	}
	ops := freePort(t)
	plain, split := doyasa.Start(t), doyasa.Start(t, "--ops-listen", ops)
	tests := []struct{ name, check, address, want string }{
		{"default", "option httpchk", plain.Addr, "UP L7OK 204"},
		{"uri", "option httpchk /readyz", plain.Addr, "UP L7OK 200"},
		{"get", "option httpchk GET /healthz", plain.Addr, "UP L7OK 200"},
		{"head", "option httpchk HEAD /", plain.Addr, "UP L7OK 200"},
		{"star", "option httpchk OPTIONS *", plain.Addr, "UP L7OK 200"},
		{"host", `option httpchk OPTIONS / HTTP/1.1\r\nHost:\ www`, plain.Addr, "UP L7OK 204"},
		{"send", "option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host chat.example.org", plain.Addr, "UP L7OK 200"},
		{"room", "option httpchk GET /r/tea/", plain.Addr, "UP L7OK 200"},
		{"api", "option httpchk /api/rooms/doyasa/messages", plain.Addr, "UP L7OK 204"},
		{"split", "option httpchk", split.Addr, "UP L7OK 204"},
		{"ops", "option httpchk /readyz", ops, "UP L7OK 200"},
		{"nothing", "option httpchk GET /nothing", plain.Addr, "DOWN L7STS 404"}, // this shows that a check can fail
	}
	var config strings.Builder
	for _, tt := range tests {
		fmt.Fprintf(&config, "backend %s\n    mode http\n    timeout connect 5s\n    timeout server 1m\n    timeout check 1m\n    %s\n    server doyasa %s check inter 100ms fall 1 rise 1\n",
			tt.name, tt.check, tt.address)
	}
	said := checked(t, startHAProxy(t, config.String()))
	for _, tt := range tests {
		if said[tt.name] != tt.want {
			t.Errorf("%s: %s, want %s", tt.check, said[tt.name], tt.want)
		}
	}
}

// With the lines of operations.md HAProxy finds the server up, passes requests and WebSockets, and takes one connection for many requests.
func TestHAProxyLines(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		doyasa.Skip(t, "haproxy is not here")
	}
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	block := haproxyBlock.FindSubmatch(document)
	if block == nil {
		t.Fatal("operations.md has no lines for HAProxy")
	}
	server := doyasa.Start(t, "--trusted-proxies", "127.0.0.1", "--limits-connections-per-ip", "1")
	address := freePort(t)
	config := strings.NewReplacer("127.0.0.1:3000", server.Addr, ":443 ssl crt /etc/haproxy/chat.example.org.pem", address).Replace(string(block[1]))
	if !strings.Contains(config, server.Addr) || !strings.Contains(config, address) {
		t.Fatalf("nothing to change in\n%s", config)
	}
	if said := checked(t, startHAProxy(t, config)); said["doyasa"] != "UP L7OK 200" {
		t.Fatalf("HAProxy says %v, want a server that is up", said)
	}
	conn := upgrade(t, address)
	conn.Send(wire.Text, []byte("どやさ"))
	if f := frame(t, conn); string(f.Payload) != "どやさ" {
		t.Errorf("%v comes back", f)
	}
	if _, status := open(t, "127.0.0.12", address); status != http.StatusSwitchingProtocols {
		t.Errorf("another visitor: %d, want 101: each visitor has an address of its own", status)
	}
}
