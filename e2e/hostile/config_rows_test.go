package hostile_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// configRows are A-C. What each message says word by word is held by the tests of internal/config and cmd/doyasa; here the real
// program must end with a status that is not 0 and name what is wrong, while the server beside it goes on.
var configRows = []row{
	{id: "C1", input: "an unknown key", run: files(
		file{"\nprot: 3000\n", "c.yaml:2: unknown key \"prot\""}, file{"lsiten: ':1'\n", "the nearest is listen"}, file{"limits:\n  brust: 1\n", "c.yaml:2: unknown key \"limits.brust\"; the nearest is limits.burst"})},
	{id: "C2", input: "ports that are none", note: "there is no port key: listen is host:port, and port 0 is any free one", run: files(
		file{"listen: ':-1'\n", "listen is"}, file{"listen: ':65536'\n", "listen is"}, file{"listen: '3000abc'\n", "listen is"}, file{"listen: 3e3\n", "listen is"},
		file{"listen: 0x1F\n", "listen is"}, file{"listen: null\n", "listen is"}, file{"limits: {burst: 3e3}\n", "limits.burst is"}, file{"limits: {burst: 0x1F}\n", "limits.burst is"})},
	{id: "C3", input: "durations that are none", run: files(
		file{"limits: {ping_interval: 5}\n", "unit"}, file{"limits: {ping_interval: \"5\"}\n", "unit"}, file{"limits: {ping_interval: -5s}\n", "unit"},
		file{"limits: {ping_interval: 5 s}\n", "unit"}, file{"limits: {ping_interval: 1e9h}\n", "unit"})},
	{id: "C4", input: "sizes that are none", run: files(
		file{"limits: {message_bytes: 0}\n", "size"}, file{"limits: {message_bytes: -1}\n", "size"}, file{"limits: {message_bytes: 9223372036854775808}\n", "size"},
		file{"limits: {message_bytes: 64k}\n", "KiB"}, file{"limits: {message_bytes: 64KiB}\n", ""})},
	{id: "C5", input: "an empty file", run: runEmptyFile},
	{id: "C6", input: "a file that cannot be read", run: runNoFile},
	{id: "C7", input: "YAML of another shape", run: files(
		file{"log:\n\tlevel: info\n", "c.yaml:2: indented with a tab"}, file{"log:\n  level: info\n format: json\n", "c.yaml:3:"}, file{"- listen\n", "c.yaml:1:"}, file{"log:\n  - level\n", "c.yaml:2:"})},
	{id: "C8", input: "other encodings", run: files(
		file{"\ufefflog:\r\n  level: debug\r\n", ""}, file{"\xff\xfel\x00o\x00", "UTF-16"}, file{"listen: ':1'\n# caf\xe9\n", "not UTF-8"})},
	{id: "C9", input: "origins that are none", run: files(
		file{"allowed_origins: ['*']\n", "every page on the web"}, file{"allowed_origins: ['https://a/b']\n", "without path"}, file{"allowed_origins: [chat.example]\n", "scheme"},
		file{"allowed_origins: ['https://a/']\n", ""}), note: "\"*\" has no switch; a slash at the end is taken for none"},
	{id: "C10", input: "settings that contradict each other", run: files(
		file{"limits: {pong_timeout: 25s}\n", "limits.ping_interval"}, file{"limits: {slow_timeout: 0s}\n", "limits.slow_timeout"}, file{"limits: {message_bytes: 1024}\n", "limits.text_bytes"},
		file{"limits: {burst: 0}\n", "limits.messages_per_second"})},
	{id: "C11", input: "environment variables", run: runEnvironment},
	{id: "C12", input: "flags", run: runFlags},
	{id: "C13", input: "addresses that cannot be had", run: runAddresses},
	{id: "C14", input: "TLS files that do not fit", run: runTLS},
	{id: "C15", input: "a history folder that cannot be written", run: runHistoryFolder},
	{id: "C16", input: "an engine that is not there, or is none", run: runEngine},
	{id: "C17", input: "signals during start and stop", run: runSignals},
	{id: "C18", input: "help, version, a check", run: runAsked, note: "--help, version, config check"},
}

// A file is a configuration and what must be said of it; nothing if it is fine.
type file struct{ yaml, want string }

func files(all ...file) func(*testing.T, *stand) {
	return func(t *testing.T, s *stand) {
		for _, f := range all {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(f.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			if f.want == "" {
				if status, _, stderr := doyasa.Run(t, dir, nil, "config", "check", "--config", "c.yaml"); status != 0 {
					t.Errorf("%q is refused with %d: %s", f.yaml, status, stderr)
				}
				continue
			}
			refusedBy(t, dir, nil, f.want, "serve", "--config", "c.yaml")
		}
	}
}

// refusedBy runs the program, which must end by itself with a word on what is wrong.
func refusedBy(t *testing.T, dir string, env []string, want string, args ...string) {
	t.Helper()
	status, stdout, stderr := doyasa.Run(t, dir, env, args...)
	if status == 0 || !strings.Contains(stderr, want) || strings.Contains(stdout+stderr, "panic") || strings.Contains(stdout+stderr, "goroutine ") {
		t.Errorf("doyasa %q: status %d, stdout %q, stderr %q; want a failure that says %q", args, status, stdout, stderr, want)
	}
}

func runEmptyFile(t *testing.T, s *stand) {
	for _, yaml := range []string{"", "# nothing\n"} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start(t, "--config", path).Logged("sets nothing: defaults")
	}
}

func runNoFile(t *testing.T, s *stand) {
	dir := t.TempDir()
	refusedBy(t, dir, nil, "no such file", "serve", "--config", "gone.yaml")
	refusedBy(t, dir, nil, "folder", "serve", "--config", ".")
	if os.Getuid() != 0 { // root may read everything
		path := filepath.Join(dir, "c.yaml")
		os.WriteFile(path, nil, 0)
		refusedBy(t, dir, nil, "permission", "serve", "--config", path)
	}
}

func runEnvironment(t *testing.T, s *stand) {
	dir := t.TempDir()
	refusedBy(t, dir, []string{"DOYASA_LIMITS_BURST=many"}, "DOYASA_LIMITS_BURST", "serve")
	refusedBy(t, dir, []string{"DOYASA_LISTEN=3000"}, "DOYASA_LISTEN", "serve")
	// Empty is unset, as config.yaml says.
	status, stdout, stderr := doyasa.Run(t, dir, []string{"DOYASA_LIMITS_BURST=", "DOYASA_LIMITS_MESSAGES_PER_SECOND=7"}, "config", "print")
	if status != 0 || !strings.Contains(stdout, "burst: 20") || !strings.Contains(stdout, "messages_per_second: 7") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

func runFlags(t *testing.T, s *stand) {
	dir := t.TempDir()
	status, _, stderr := doyasa.Run(t, dir, nil, "serve", "--prot", "3000")
	if status != 2 || !strings.Contains(stderr, "--prot") {
		t.Errorf("an unknown flag: status %d, %q; want 2 and its name", status, stderr)
	}
	if status, _, stderr = doyasa.Run(t, dir, nil, "sreve"); status != 2 {
		t.Errorf("an unknown command: status %d, %q; want 2", status, stderr)
	}
	path := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(path, []byte("limits: {burst: 30, messages_per_second: 30, text_bytes: 30}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DOYASA_LIMITS_BURST=20", "DOYASA_LIMITS_MESSAGES_PER_SECOND=20"}
	if status, _, stderr = doyasa.Run(t, dir, nil, "serve", "--limits-burst", "9", "--limits-burst", "10"); status != 2 || !strings.Contains(stderr, "twice") {
		t.Errorf("a flag given twice: status %d, %q; want 2", status, stderr)
	}
	status, stdout, stderr := doyasa.Run(t, dir, env, "config", "print", "--config", path, "--limits-burst", "10")
	for _, want := range []string{"burst: 10", "messages_per_second: 20", "text_bytes: 30"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("status %d, %s%s; want %q: flags before environment before file", status, stdout, stderr, want)
		}
	}
}

func runAddresses(t *testing.T, s *stand) {
	dir := t.TempDir()
	refusedBy(t, dir, nil, "is taken by another program", "serve", "--listen", s.server.Addr)
	refusedBy(t, dir, nil, "is not an address of this machine", "serve", "--listen", "192.0.2.77:3000")
	refusedBy(t, dir, nil, "listen", "serve", "--listen", "999.1.1.1:3000")
}

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, dir, name string, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(suffix, typ string, der []byte) string {
		path := filepath.Join(dir, name+suffix)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write(".crt", "CERTIFICATE", der), write(".key", "PRIVATE KEY", pkcs8)
}

func runTLS(t *testing.T, s *stand) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "a", time.Now().Add(24*time.Hour))
	other, otherKey := certificate(t, dir, "b", time.Now().Add(24*time.Hour))
	encrypted := filepath.Join(dir, "encrypted.key")
	os.WriteFile(encrypted, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")}), 0o600)
	for _, pair := range [][2]string{{cert, otherKey}, {other, key}, {key, cert}, {cert, encrypted}, {cert, filepath.Join(dir, "gone")}, {cert, ""}, {"", key}} {
		status, stdout, stderr := doyasa.Run(t, dir, nil, "serve", "--listen", "127.0.0.1:0", "--tls-cert", pair[0], "--tls-key", pair[1])
		secret, _ := os.ReadFile(key)
		lines := strings.Split(string(secret), "\n")
		if status == 0 || !strings.Contains(stderr, "tls") || strings.Contains(stdout+stderr, "panic") ||
			slices.ContainsFunc(lines, func(l string) bool {
				return len(l) > 20 && !strings.HasPrefix(l, "-") && strings.Contains(stdout+stderr, l)
			}) {
			t.Errorf("%v: status %d, %s%s; want a failure that names the keys and shows no key", pair, status, stdout, stderr)
		}
	}
}

func runHistoryFolder(t *testing.T, s *stand) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := doyasa.Run(t, t.TempDir(), nil, "serve", "--listen", "127.0.0.1:0", "--history-store", "embedded", "--history-dir", filepath.Join(file, "data"))
	if status == 0 || strings.Contains(stderr, "goroutine ") {
		t.Errorf("a folder below a file: status %d, %q; want a failure", status, stderr)
	}
}

// runEngine: a store that this version does not have is refused in one line.
func runEngine(t *testing.T, s *stand) {
	status, stdout, stderr := doyasa.Run(t, t.TempDir(), nil, "serve", "--listen", "127.0.0.1:0", "--history-store", "nats")
	if status == 0 || !strings.Contains(stderr, "is not there yet") || strings.Contains(stdout+stderr, "goroutine ") {
		t.Errorf("status %d, %q, %q; want a failure that says that the store is not there yet", status, stdout, stderr)
	}
}

// runSignals: the program ends within its grace whenever it is told to.
func runSignals(t *testing.T, s *stand) {
	server := s.start(t)
	server.Terminate()
	server.Terminate()
	if status := server.Wait(wire.Patience); status != 0 && status != 1 {
		t.Errorf("status %d after two signals, want 0 or 1", status)
	}
}

func runAsked(t *testing.T, s *stand) {
	for _, args := range [][]string{{"--help"}, {"version"}, {"config", "check"}, {"config", "print"}, {"serve", "--help"}} {
		if status, stdout, stderr := doyasa.Run(t, t.TempDir(), nil, args...); status != 0 || stdout == "" && args[0] != "config" || strings.Contains(stderr, "panic") {
			t.Errorf("doyasa %q: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
