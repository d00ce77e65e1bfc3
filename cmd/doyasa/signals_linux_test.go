package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pair of a pseudo-terminal: the end of the window and the end of the program.
func terminal(t *testing.T) (window, tty *os.File) {
	t.Helper()
	window, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this machine has no terminals: ", err)
	}
	t.Cleanup(func() { window.Close() })
	if err := unix.IoctlSetPointerInt(int(window.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(window.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return window, tty
}

// A terminal that closes stops the server in order: its members are told, and the status is 0. Its log has nowhere to go then.
func TestTerminalCloses(t *testing.T) {
	window, tty := terminal(t)
	cmd := exec.Command(os.Args[0], "--listen", "127.0.0.1:0", "--log-format", "json")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	launch(t, cmd)
	tty.Close()
	u := &unread{t: t, log: bufio.NewReader(window)}
	address, _ := u.logged("doyasa is ready")["address"].(string)
	m := enter(t, address)
	m.says(1)
	window.Close()
	m.leftWithRestart()
	if status := ended(t, cmd); status != 0 {
		t.Errorf("after its terminal has closed: status %d, want 0", status)
	}
}

// SIGHUP stops a server in order, also one that is the first process of a container, for which the kernel ignores signals without a
// handler.
func TestHangup(t *testing.T) {
	for name, attributes := range map[string]*syscall.SysProcAttr{"plain": nil, "process 1": {Cloneflags: syscall.CLONE_NEWPID}} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "--listen", "127.0.0.1:0")
			cmd.SysProcAttr = attributes
			if attributes != nil {
				probe := exec.Command("/bin/true")
				probe.SysProcAttr = attributes
				if err := probe.Run(); errors.Is(err, os.ErrPermission) {
					t.Skip("process namespaces are not allowed here: ", err)
				}
			}
			p := startAs(t, cmd)
			m := enter(t, p.ready())
			p.signal(syscall.SIGHUP)
			m.leftWithRestart()
			status, log := p.wait()
			if status != 0 || !strings.Contains(log, `"signal":"hangup"`) || !strings.Contains(log, `"stopped"`) {
				t.Errorf("after SIGHUP: status %d, log\n%s\nwant 0 and an orderly end", status, log)
			}
		})
	}
}

// A shell and the kernel both send SIGHUP when a terminal closes: the second one does not cut the orderly stop short, as a second
// SIGTERM would.
func TestHangupTwice(t *testing.T) {
	p := start(t, "--listen", "127.0.0.1:0", "--limits-drain-timeout", "10m", "--limits-handshake-timeout", "10m")
	stuck(t, p.ready())
	p.signal(syscall.SIGHUP)
	p.logged("letting everybody go")
	p.signal(syscall.SIGHUP)
	p.signal(syscall.SIGTERM) // the end of a login session sends it together with SIGHUP
	p.signal(syscall.SIGINT)  // of two signals that wait, the kernel delivers the one with the lower number first
	if status, log := p.wait(); status != 1 || !strings.HasSuffix(p.stderr.String(), " again: ended at once\n") {
		t.Errorf("status %d, stderr %q, log\n%s\nwant 1, and an end by the second of SIGTERM and SIGINT", status, &p.stderr, log)
	}
}

// nohup ignores SIGHUP for its command, and a shell without job control ignores SIGINT for commands in the background. It stays so.
func TestIgnoredSignals(t *testing.T) {
	for name, ignored := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			p := startAs(t, exec.Command("/bin/sh", "-c", "trap '' "+name+`; exec "$0" --listen 127.0.0.1:0`, os.Args[0]))
			m := enter(t, p.ready())
			p.signal(ignored)
			m.says(1)
			p.signal(syscall.SIGTERM)
			m.leftWithRestart()
			if status, log := p.wait(); status != 0 || strings.Contains(log, fmt.Sprintf(`"signal":%q`, ignored)) || !strings.Contains(log, `"signal":"terminated"`) {
				t.Errorf("after SIG%s and SIGTERM: status %d, log\n%s\nwant 0, and an end by SIGTERM", name, status, log)
			}
		})
	}
}
