package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A file that is too long for what it is, or has no end, is one line of an error, at once: it is not read into memory.
func TestReadFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, gib); err != nil {
		t.Fatal(err)
	}
	exact := filepath.Join(dir, "exact")
	if err := os.WriteFile(exact, []byte(strings.Repeat("#", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := pair(t, dir, "good", time.Now().Add(-time.Hour), time.Now().Add(90*day))
	for _, row := range []struct {
		name string
		s    Sources
		want string
	}{
		{"as long as it may be", Sources{File: exact}, ""},
		{"1 GiB of settings", Sources{File: large}, large + ": want at most 32768 bytes; this file has more"},
		{"1 GiB of certificate", tlsFiles(large, key), `tls.cert ("` + large + `"): want at most 1048576 bytes; this file has more`},
		{"1 GiB of key", tlsFiles(cert, large), `tls.key ("` + large + `"): want at most 1048576 bytes; this file has more`},
	} {
		got := ""
		if _, err := Load(row.s); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func tlsFiles(cert, key string) Sources {
	return Sources{File: os.DevNull, Flags: map[string]string{"tls.cert": cert, "tls.key": key}}
}
