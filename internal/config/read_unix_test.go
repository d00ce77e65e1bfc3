//go:build unix

package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A device without an end, and a pipe that nobody writes to, are one line of an error as well.
func TestReadFileComesBack(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const never = "did not end within 5s; if it is a pipe, something must write to it and close it"
	for _, row := range []struct {
		name string
		s    Sources
		want string
	}{
		{"settings without an end", Sources{File: "/dev/zero"}, "/dev/zero: want at most 32768 bytes; this file has more"},
		{"a certificate without an end", tlsFiles("/dev/zero", "/dev/zero"), `tls.cert ("/dev/zero"): want at most 1048576 bytes; this file has more`},
		{"settings from nobody", Sources{File: pipe}, pipe + ": " + never},
		{"a certificate from nobody", tlsFiles(pipe, pipe), `tls.cert ("` + pipe + `"): ` + never},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // two of them take the whole patience
			if _, err := Load(row.s); err == nil || err.Error() != row.want {
				t.Errorf("%v, want %s", err, row.want)
			}
		})
	}
}

// A pipe whose writer writes in pieces is read whole: <(command) of a shell is one.
func TestReadFileFromAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	piece := strings.Repeat("#", 9000) + "\n"
	written := make(chan error, 1)
	go func() {
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		for i := 0; i < 3 && err == nil; i++ {
			_, err = w.WriteString(piece)
		}
		if err == nil {
			_, err = w.WriteString("rooms: {max: 3}\n")
			w.Close()
		}
		written <- err
	}()
	l, err := Load(Sources{File: pipe})
	if err != nil || l.Rooms.Max != 3 {
		t.Errorf("Load = %+v, %v, want rooms.max 3", l, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
