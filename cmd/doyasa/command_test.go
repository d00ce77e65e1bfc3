package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
)

// C12: a wrong command line ends with status 2, an explanation on stderr, and nothing on stdout.
func TestUsageErrors(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"srve"}, "doyasa: unknown command \"srve\"; want serve\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"dance"}, "doyasa: unknown command \"dance\"; want bench, config, export, healthcheck, import, serve, version\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"serve", "now"}, "doyasa: \"now\": no arguments wanted\nusage: doyasa serve [flags]; more with doyasa serve --help\n"},
		{[]string{"config"}, "doyasa: want a command: check or print\nusage: doyasa config [flags]; more with doyasa config --help\n"},
		{[]string{"config", "chekc"}, "doyasa: unknown command \"chekc\"; want check\nusage: doyasa config [flags]; more with doyasa config --help\n"},
		{[]string{"version", "--listen", ":1"}, "doyasa: unknown flag: --listen\nusage: doyasa version [flags]; more with doyasa version --help\n"},
		{[]string{"--limits-burts", "1"}, "doyasa: unknown flag: --limits-burts; the nearest is --limits-burst\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"--prot", "1"}, "doyasa: unknown flag: --prot\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"serve", "--listen"}, "doyasa: flag needs an argument: --listen\nusage: doyasa serve [flags]; more with doyasa serve --help\n"},
		{[]string{"--limits-burst", "1", "--limits-burst", "1"}, "doyasa: invalid argument \"1\" for \"--limits-burst\" flag: given twice\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"--public-url", "x://a:secret@b"}, "doyasa: invalid argument \"x://***@b\" for \"--public-url\" flag: want scheme://host or scheme://host:port, such as \"https://chat.example.org\", without path or user\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"--config", "a", "--config", "b"}, "doyasa: invalid argument \"b\" for \"--config\" flag: given twice\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"--config", ""}, "doyasa: invalid argument \"\" for \"--config\" flag: want the name of a file\nusage: doyasa [flags]; more with doyasa --help\n"},
		{[]string{"config", "check", "--limits-burst", "3e3"}, "doyasa: invalid argument \"3e3\" for \"--limits-burst\" flag: want a whole number from 0 to 1000000\nusage: doyasa config check [flags]; more with doyasa config check --help\n"},
	} {
		status, stdout, stderr := call(nil, row.args...)
		if status != 2 || stdout != "" || stderr != row.want {
			t.Errorf("doyasa %q: status %d, stdout %q, stderr\n%swant status 2 and\n%s", row.args, status, stdout, stderr, row.want)
		}
	}
}

// C18: help and version open nothing and succeed.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"serve", "--help"}, {"config", "--help"}, {"config", "print", "--help"}, {"healthcheck", "-h"}, {"version"}, {"--version"}} {
		status, stdout, stderr := call(nil, args...)
		if status != 0 || !strings.HasSuffix(stdout, "\n") || stderr != "" {
			t.Errorf("doyasa %q: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
	_, help, _ := call(nil, "serve", "--help")
	for _, k := range config.Keys() {
		if !strings.Contains(help, "--"+k.Flag()+" "+k.Kind()) || !strings.Contains(help, k.Help) {
			t.Errorf("serve --help lacks --%s: %s", k.Flag(), k.Help)
		}
	}
	version = "1.2.3"
	defer func() { version = "" }()
	if _, stdout, _ := call(nil, "version"); !strings.HasPrefix(stdout, "doyasa 1.2.3, ") && !strings.HasPrefix(stdout, "doyasa 1.2.3 ") {
		t.Errorf("version prints %q", stdout)
	}
}

// A command has the flags of the settings that it uses, and no others.
func TestFlagsOfCommands(t *testing.T) {
	for _, row := range []struct {
		command string
		want    []string
	}{
		{"export", []string{"config", "help", "history-dir", "ops-listen", "salvage"}},
		{"import", []string{"config", "help", "history-dir"}},
		{"healthcheck", []string{"config", "help", "listen", "ops-listen", "tls-cert", "tls-key"}},
		{"version", []string{"help"}},
	} {
		_, help, _ := call(nil, row.command, "--help")
		var got []string
		for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, |    )--([a-z-]+)`).FindAllStringSubmatch(help, -1) {
			got = append(got, flag[1])
		}
		slices.Sort(got)
		if !slices.Equal(got, row.want) {
			t.Errorf("%s --help has the flags %q, want %q", row.command, got, row.want)
		}
	}
	// A setting without a flag still counts where the server would read it, or a wrong file would go unnoticed.
	if status, _, stderr := call([]string{"DOYASA_LIMITS_BURST=x"}, "export"); status != 1 || !strings.HasPrefix(stderr, "doyasa: DOYASA_LIMITS_BURST: ") {
		t.Errorf("export with a wrong variable: status %d, %q", status, stderr)
	}
}

func TestConfigCommands(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, stdout, stderr := call(nil, "config", "check"); status != 0 || stdout != "ok (no file)\n" || stderr != "" {
		t.Errorf("config check without a file: %d, %q, %q", status, stdout, stderr)
	}
	if err := os.WriteFile("config.yaml", []byte("limits:\n  burst: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"DOYASA_ROOMS_MAX=9", "DOYASA_ROOMS_MAXX=1"}
	const notice = "doyasa: no setting is called DOYASA_ROOMS_MAXX; the nearest is DOYASA_ROOMS_MAX\n"
	if status, stdout, stderr := call(environ, "config", "check"); status != 0 || stdout != "ok (config.yaml)\n" || stderr != notice {
		t.Errorf("config check: %d, %q, %q", status, stdout, stderr)
	}
	status, stdout, stderr := call(environ, "config", "print", "--limits-message-bytes", "1MiB")
	if status != 0 || stderr != notice {
		t.Errorf("config print: %d, %q", status, stderr)
	}
	for _, want := range []string{"\n  burst: 7  # config.yaml:2\n", "\n  max: 9  # DOYASA_ROOMS_MAX\n", "\n  message_bytes: 1MiB  # --limits-message-bytes\n", "\nstatic_dir: \"\"\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("config print lacks %q:\n%s", want, stdout)
		}
	}
	// Everything wrong at once, a line each, status 1.
	if err := os.WriteFile("config.yaml", []byte("prot: 3000\nlimits:\n  burst: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"config", "check"}, {"config", "print"}, {"serve"}, {}, {"healthcheck"}} {
		status, stdout, stderr := call([]string{"DOYASA_ROOMS_MAX=-1"}, command...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if status != 1 || stdout != "" || len(lines) != 3 || !strings.HasPrefix(lines[0], `doyasa: config.yaml:1: unknown key "prot"; the nearest is `) ||
			!strings.HasPrefix(lines[1], `doyasa: config.yaml:3: limits.burst is "x": `) || !strings.HasPrefix(lines[2], `doyasa: DOYASA_ROOMS_MAX: rooms.max is "-1": `) {
			t.Errorf("doyasa %q: status %d, stdout %q, stderr\n%s", command, status, stdout, stderr)
		}
	}
}

func TestHealthcheck(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" || r.Method != http.MethodGet {
			t.Errorf("%s %s, want GET /healthz", r.Method, r.URL)
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	t.Chdir(t.TempDir())
	address := s.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	for _, row := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--listen", address}, 200, "healthy (" + address + ")\n"},
		{[]string{"--listen", "0.0.0.0:" + port}, 200, "healthy (0.0.0.0:" + port + ")\n"},
		{[]string{"--listen", ":" + port}, 200, "healthy (:" + port + ")\n"},
		{[]string{"--listen", silent.Addr().String(), "--ops-listen", address}, 200, "healthy (" + address + ")\n"},
		{[]string{"--listen", address}, 503, "doyasa: unhealthy: " + address + " answers 503 Service Unavailable\n"},
		{[]string{"--listen", ":0"}, 200, "doyasa: unhealthy: :0 is any free port; set a port that can be asked\n"},
		{[]string{"--listen", address, "--ops-listen", "127.0.0.1:1"}, 200, "doyasa: unhealthy: dial tcp 127.0.0.1:1: connect: connection refused\n"},
	} {
		status = row.status
		wantStatus := 0
		if strings.HasPrefix(row.want, "doyasa:") {
			wantStatus = 1
		}
		got, stdout, stderr := call(nil, append([]string{"healthcheck"}, row.args...)...)
		if got != wantStatus || stdout+stderr != row.want {
			t.Errorf("healthcheck %q, server says %d: status %d, %q; want %d, %q", row.args, row.status, got, stdout+stderr, wantStatus, row.want)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := askHealth(ctx, config.Config{Listen: silent.Addr().String()}); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("a server that never answers: %v, want an error when the time is over", err)
	}
}

func TestLogger(t *testing.T) {
	logged := func(c config.Log, say func(zerolog.Logger)) string {
		t.Helper()
		var b bytes.Buffer
		log, end, err := newLogger(&b, c)
		if err != nil {
			t.Fatal(err)
		}
		say(log)
		end()
		return b.String()
	}
	for _, row := range []struct {
		c    config.Log
		want string
	}{
		{config.Log{Level: "info", Format: "auto"}, `"level":"info"`}, // not a terminal
		{config.Log{Level: "info", Format: "json"}, `"level":"info"`},
		{config.Log{Level: "info", Format: "console"}, " INF hello\n"},
		{config.Log{Level: "warn", Format: "json"}, ""},
	} {
		got := logged(row.c, func(log zerolog.Logger) { log.Info().Msg("hello") })
		if (row.want == "") != (got == "") || !strings.Contains(got, row.want) || strings.Contains(got, "\x1b") {
			t.Errorf("%+v logs %q, want %q in it", row.c, got, row.want)
		}
	}
	got := logged(config.Log{Level: "info", Format: "console"}, func(log zerolog.Logger) {
		log.Info().Str("name", "\r\n[ERROR] x\x1b[2J\u202e").Msg("a\r\x1b[2J\u009bc\nb") // M25
	})
	if want := ` INF a\r\x1b[2J\u009bc` + "\nb" + ` name="\r\n[ERROR] x\x1b[2J\u202e"` + "\n"; !strings.HasSuffix(got, want) {
		t.Errorf("on the console %q, want %q", got, want)
	}
	var b bytes.Buffer
	log := zerolog.New(&b).Level(zerolog.InfoLevel)
	httpLog(log).Print("http: TLS handshake error from 192.0.2.1:1: EOF")
	if b.Len() > 0 {
		t.Errorf("mistakes of clients are logged at info: %s", &b)
	}
	httpLog(log).Print("http: panic serving 192.0.2.1:1: oh")
	if want := `{"level":"error","message":"http: panic serving 192.0.2.1:1: oh"}` + "\n"; b.String() != want {
		t.Errorf("a panic is logged as %q, want %q", &b, want)
	}
	b.Reset()
	httpLog(log.Level(zerolog.DebugLevel)).Print("http: TLS handshake error")
	if want := `{"level":"debug","message":"http: TLS handshake error"}` + "\n"; b.String() != want {
		t.Errorf("when debugging: %q, want %q", &b, want)
	}
}
