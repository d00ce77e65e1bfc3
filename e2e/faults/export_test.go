package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// A backup of a running server has everything that is stored, and putting it back gives the same texts. Without ops_listen the command says
// what to set.
func TestBackupWhileRunning(t *testing.T) {
	base := t.TempDir()
	dir, fresh, ops := filepath.Join(base, "data"), filepath.Join(base, "fresh"), freeAddr(t)
	start := func(dir string) *doyasa.Server {
		return doyasa.Start(t, "--ops-listen", ops, "--history-store", "embedded", "--history-dir", dir, "--limits-messages-per-second", "0")
	}
	server := start(dir)
	const said = 150
	for i := range said {
		response, err := http.Post(fmt.Sprintf("http://%s/api/rooms/r/messages?name=cron", server.Addr), "text/plain", strings.NewReader(fmt.Sprint("どやさ ", i)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	status, _, stderr := doyasa.Run(t, base, nil, "export", "--history-dir", dir)
	if status != 1 || !strings.Contains(stderr, "another doyasa is using it") || !strings.Contains(stderr, "ops_listen") {
		t.Errorf("without ops_listen: status %d, %q", status, stderr)
	}
	status, dump, stderr := doyasa.Run(t, base, nil, "export", "--history-dir", dir, "--ops-listen", ops)
	if status != 0 || strings.Count(dump, "\n") != said {
		t.Fatalf("status %d, %d lines, %q; want %d", status, strings.Count(dump, "\n"), stderr, said)
	}
	if response, err := http.Get("http://" + server.Addr + "/export"); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("/export on the public port: %v, %v; want 404", response, err)
	} else {
		response.Body.Close()
	}
	server.Terminate()
	if status := server.Wait(wire.Patience); status != 0 {
		t.Fatalf("status %d", status)
	}
	file := filepath.Join(base, "history.jsonl")
	if err := os.WriteFile(file, []byte(dump), 0o600); err != nil {
		t.Fatal(err)
	}
	put := doyasa.Command(t, "import", "--history-dir", fresh)
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	put.Stdin = in
	if out, err := put.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprint(said, " lines imported")) {
		t.Fatalf("import: %v, %s", err, out)
	}
	server = start(fresh)
	p := fetch(t, server.Addr, "?limit=200")
	if len(p.Messages) != said {
		t.Fatalf("%d messages after putting the backup back, want %d", len(p.Messages), said)
	}
	for i, m := range p.Messages {
		if want := fmt.Sprint("どやさ ", i); m.Text != want {
			t.Fatalf("message %d is %q, want %q", i, m.Text, want)
		}
	}
}
