package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// <(command) of a shell serves as a file for every setting that names one. Such a pipe can be read only once.
func TestProcessSubstitution(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	dir := t.TempDir()
	file, cert, key := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, []byte("rooms: {default: tea}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, cert, key, 7)
	const command = `exec "$0" --listen 127.0.0.1:0 --config <(cat "$1") --tls-cert <(cat "$2") --tls-key <(cat "$3")`
	p := startAs(t, exec.Command(bash, "-c", command, os.Args[0], file, cert, key))
	address := p.ready()
	if got := dialTLS(t, address).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 7 {
		t.Errorf("the certificate has number %d, want 7", got)
	}
	p.signal(syscall.SIGTERM)
	if status, log := p.wait(); status != 0 || strings.Contains(log, `"warn"`) {
		t.Errorf("status %d, log\n%s\nwant 0 and no warning", status, log)
	}
	cmd := exec.Command(bash, "-c", `exec "$0" config print --config <(cat "$1")`, os.Args[0], file)
	cmd.Env = append(os.Environ(), "RUN_MAIN=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `default: "tea"`) {
		t.Errorf("config print: %v\n%s\nwant the room tea", err, out)
	}
}
