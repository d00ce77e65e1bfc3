package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The real process with a log that nobody reads: a pipe that is full or has lost its reader, a full disk.

// member is a connection in a room of a running server.
type member struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func enter(t *testing.T, address string) *member {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", address)
	m := &member{t, conn, bufio.NewReader(conn)}
	if r, err := http.ReadResponse(m.r, nil); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %v, %v, want 101", r, err)
	}
	return m
}

const (
	hiSent = "\x81\x82\x00\x00\x00\x00hi" // a text message with a masking key of zeros
	hi     = "\x81\x02hi"
)

// says sends hi a number of times and waits until all of them have come back.
func (m *member) says(times int) {
	m.t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(m, strings.Repeat(hiSent, times))
		sent <- err
	}()
	got := make([]byte, times*len(hi))
	if n, err := io.ReadFull(m.r, got); err != nil || string(got) != strings.Repeat(hi, times) {
		m.t.Fatalf("after %d bytes: %v, want %d messages back", n, err, times)
	}
	if err := <-sent; err != nil {
		m.t.Fatal(err)
	}
}

// leftWithRestart reads to the end, which must be a Close 1012.
func (m *member) leftWithRestart() {
	m.t.Helper()
	rest, err := io.ReadAll(m.r)
	if err != nil || !strings.HasSuffix(string(rest), "\x88\x09\x03\xf4restart") {
		m.t.Errorf("at the end %q, %v, want Close 1012", rest, err)
	}
}

// chatty are flags with which every frame of a client is a line of the log.
var chatty = []string{"--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "trace", "--limits-messages-per-second", "0"}

// flood is enough frames to fill the queue of the log and a pipe of the smallest size.
const flood = 10_000

// unread is a running doyasa whose stdout and stderr are one pipe with space for one page, as after 2>&1. The test is its reader.
type unread struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	pipe    *os.File
	log     *bufio.Reader // of pipe
}

func startUnread(t *testing.T, args ...string) *unread {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	u := &unread{t: t, cmd: exec.Command(os.Args[0], args...), pipe: r, log: bufio.NewReader(r)}
	u.cmd.Stdout, u.cmd.Stderr = w, w
	launch(t, u.cmd)
	u.address, _ = u.logged("doyasa is ready")["address"].(string)
	return u
}

// launch starts a command in an empty folder; the test's end kills it.
func launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "RUN_MAIN=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
}

// logged reads the log until a line whose message contains text, and returns its fields.
func (u *unread) logged(text string) map[string]any {
	u.t.Helper()
	for {
		line, err := u.log.ReadString('\n')
		if err != nil {
			u.t.Fatalf("the log ends without %q: %v", text, err)
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			u.t.Fatalf("log line %q: %v", line, err)
		}
		if message, _ := fields["message"].(string); strings.Contains(message, text) {
			return fields
		}
	}
}

// fill takes the last free bytes of the pipe, which are too few for the rest of the log but enough for a short error.
func (u *unread) fill() {
	u.t.Helper()
	w, err := unix.Open(fmt.Sprintf("/proc/%d/fd/1", u.cmd.Process.Pid), unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		u.t.Fatal(err)
	}
	defer unix.Close(w)
	for err == nil {
		_, err = unix.Write(w, []byte{'x'})
	}
	if err != unix.EAGAIN {
		u.t.Fatal(err)
	}
}

// ended waits for a process and returns its exit status.
func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// stopsInOrder sends a signal and checks that a member is told goodbye and that the process ends well.
func stopsInOrder(t *testing.T, m *member, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	m.leftWithRestart()
	if status := ended(t, cmd); status != 0 {
		t.Errorf("after %v: status %d, want 0", s, status)
	}
}

// A log in a full pipe holds up nobody: messages flow, newcomers come in, the lines that did not fit are counted, and SIGTERM ends the
// server in order although nobody reads the last lines.
func TestFullPipe(t *testing.T) {
	u := startUnread(t, chatty...)
	enter(t, u.address).says(flood)
	enter(t, u.address).says(1)
	if got := get(t, "http://"+u.address+"/readyz"); got != 200 {
		t.Errorf("/readyz answers %d, want 200", got)
	}
	if lines, _ := u.logged("lines of this log were dropped")["lines"].(float64); lines < 1 {
		t.Errorf("%v lines were dropped, want some", lines)
	}
	m := enter(t, u.address)
	m.says(flood) // the pipe is full again, and so is the queue
	stopsInOrder(t, m, u.cmd, syscall.SIGTERM)
}

// A second SIGTERM ends a server at once, also if nobody reads the error about that.
func TestSecondSignalIntoAFullPipe(t *testing.T) {
	u := startUnread(t, append(chatty, "--limits-drain-timeout", "10m", "--limits-handshake-timeout", "10m")...)
	enter(t, u.address).says(flood)
	u.fill()
	stuck(t, u.address)
	again := time.NewTicker(20 * time.Millisecond) // signals that come at the same moment are one
	defer again.Stop()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-again.C:
				u.cmd.Process.Signal(syscall.SIGTERM)
			case <-stop:
				return
			}
		}
	}()
	if status := ended(t, u.cmd); status != 1 {
		t.Errorf("after some SIGTERM: status %d, want 1", status)
	}
}

// A server whose log cannot be written goes on and stops in order: the reader of the pipe is gone (SIGPIPE), the disk is full, stdout is
// closed from the beginning.
func TestLogThatCannotBeWritten(t *testing.T) {
	t.Run("no reader", func(t *testing.T) {
		u := startUnread(t, chatty...)
		u.pipe.Close()
		m := enter(t, u.address)
		m.says(100)
		stopsInOrder(t, m, u.cmd, syscall.SIGTERM)
	})
	for name, redirected := range map[string]string{"full disk": ">/dev/full 2>&1", "closed": ">&- 2>&-"} {
		t.Run(name, func(t *testing.T) {
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := free.Addr().String()
			free.Close()
			cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@" ` + redirected, os.Args[0]}, append(chatty[2:], "--listen", address)...)...)
			launch(t, cmd)
			again := time.NewTicker(10 * time.Millisecond)
			defer again.Stop()
			for deadline := time.Now().Add(patience); ; <-again.C { // its log cannot say when it is ready
				if conn, err := net.Dial("tcp", address); err == nil {
					conn.Close()
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("nobody listens on %s within %v", address, patience)
				}
			}
			m := enter(t, address)
			m.says(100)
			stopsInOrder(t, m, cmd, syscall.SIGTERM)
		})
	}
}
