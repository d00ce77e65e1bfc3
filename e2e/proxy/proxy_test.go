// Package proxy_test puts real proxies in front of the real server, with the configurations that the README shows.
package proxy_test

import (
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

func TestMain(m *testing.M) { doyasa.Main(m) }

// patience bounds every wait: a safety net, not a measure.
const patience = 5 * time.Minute

// A kind is one of the proxies that the README tells how to set up.
type kind struct {
	name    string
	block   *regexp.Regexp // its block in the README
	rewrite func(block string) string
	file    string
	config  func(dir, address, block string) string
	command func(dir, file string) []string
}

var kinds = []kind{
	{
		name:  "nginx",
		block: regexp.MustCompile("(?s)```nginx\n(location / \\{.*?)```"),
		rewrite: func(block string) string {
			return regexp.MustCompile(`.*Host \$http_host;\n`).ReplaceAllString(block, "")
		},
		file: "nginx.conf",
		config: func(dir, address, block string) string {
			return fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server {
		listen %[2]s;
		%[3]s
	}
}
`, dir, address, block)
		},
		command: func(dir, file string) []string { return []string{"nginx", "-p", dir, "-e", "stderr", "-c", file} },
	},
	{
		name:  "caddy",
		block: regexp.MustCompile("(?s)```\n(chat\\.example\\.org \\{.*?)```"),
		rewrite: func(block string) string {
			return regexp.MustCompile(`reverse_proxy (\S+)`).ReplaceAllString(block, "reverse_proxy $1 {\nheader_up Host {upstream_hostport}\n}")
		},
		file: "Caddyfile",
		config: func(_, address, block string) string {
			host, port, _ := net.SplitHostPort(address)
			site := strings.Replace(block, "chat.example.org {", "http://chat.example.org:"+port+" {\nbind "+host, 1)
			return "{\nadmin off\nauto_https off\n}\n" + site
		},
		command: func(_, file string) []string {
			return []string{"caddy", "run", "--config", file, "--adapter", "caddyfile"}
		},
	},
}

// each runs a test with every proxy that is here.
func each(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if _, err := exec.LookPath(k.name); err != nil {
				doyasa.Skip(t, k.name+" is not here")
			}
			test(t, k)
		})
	}
}

// start runs a proxy in front of a server with the README's block, changed, and returns its address once it answers.
func (k kind) start(t *testing.T, s *doyasa.Server, change func(block string) string) (address string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := k.block.FindSubmatch(readme)
	if found == nil {
		t.Fatalf("the README has no block for %s", k.name)
	}
	block := strings.Replace(string(found[1]), "127.0.0.1:3000", s.Addr, 1)
	if block == string(found[1]) {
		t.Fatalf("the README's block for %s does not lead to 127.0.0.1:3000", k.name)
	}
	if change != nil {
		changed := change(block)
		if changed == block {
			t.Fatalf("nothing to change in\n%s", block)
		}
		block = changed
	}
	free, err := net.Listen("tcp", "127.0.0.1:0") // a proxy cannot tell which port it got
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, k.file)
	if err := os.WriteFile(file, []byte(k.config(dir, address, block)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := k.command(dir, file)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}) // closed when it is
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s says:\n%s", k.name, &log)
		}
	})
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
		request, _ := http.NewRequest("GET", "http://"+address+"/healthz", nil)
		request.Host = "chat.example.org"
		response, err := client.Do(request)
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) == "ok\n" {
				return address
			}
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %v", k.name, cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer within %v: %v %v", k.name, patience, response, err)
		}
	}
}

// open makes a handshake through a proxy, from an address of this machine, and returns the status.
func open(t *testing.T, from, proxy string, header ...string) (conn *wire.Conn, status int) {
	t.Helper()
	conn, err := wire.ConnectFrom(from, proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Write(wire.Request("chat.example.org", "/websocket", header...))
	response, err := conn.Response("GET")
	if err != nil {
		t.Fatal(err)
	}
	return conn, response.StatusCode
}

// frame reads the next frame that is not a ping.
func frame(t *testing.T, conn *wire.Conn) wire.Frame {
	t.Helper()
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.First != wire.Fin|wire.Ping {
			return f
		}
	}
}

// upgrade opens a WebSocket through a proxy and checks the answer.
func upgrade(t *testing.T, proxy string) *wire.Conn {
	t.Helper()
	conn, err := wire.Connect(proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Write(wire.Request("chat.example.org", "/websocket"))
	if err := conn.Accepted(); err != nil {
		t.Fatal(err)
	}
	return conn
}
