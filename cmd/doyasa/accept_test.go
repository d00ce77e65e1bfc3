package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A badListener fails with its errors, one after the other, and then accepts.
type badListener struct {
	net.Listener
	errs []error
}

func (l *badListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		a, _ := net.Pipe()
		return a, nil
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

func (l *badListener) Close() error { return nil }

// Errors of an accept that pass do not end a server, whatever net/http thinks of them; errors of the listening socket do.
func TestSteadyListener(t *testing.T) {
	for _, row := range []struct {
		err   error
		final bool
	}{
		{syscall.EMFILE, false}, {syscall.ENFILE, false}, {syscall.ENOBUFS, false}, {syscall.ENOMEM, false}, {syscall.EPROTO, false},
		{syscall.EPERM, false}, {syscall.ENOSPC, false}, {syscall.ECONNABORTED, false}, {syscall.ENETDOWN, false}, {syscall.ENOPROTOOPT, false},
		{syscall.EHOSTDOWN, false}, {syscall.EHOSTUNREACH, false}, {syscall.EOPNOTSUPP, false}, {syscall.ENETUNREACH, false}, {syscall.EIO, false},
		{errors.New("an error that nobody has thought of"), false},
		{net.ErrClosed, true}, {syscall.EBADF, true}, {syscall.EINVAL, true}, {syscall.ENOTSOCK, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newSteadyListener(&badListener{errs: []error{row.err, row.err}}, zerolog.Nop())
			began := time.Now()
			nc, err := l.Accept()
			if row.final && (!errors.Is(err, row.err) || time.Since(began) != 0) {
				t.Errorf("%v: Accept = %v after %v, want the error at once", row.err, err, time.Since(began))
			}
			if !row.final && (nc == nil || err != nil || time.Since(began) != firstPause+2*firstPause) {
				t.Errorf("%v twice: Accept = %v, %v after %v, want a connection after two pauses", row.err, nc, err, time.Since(began))
			}
		})
	}
}

// While accepts fail, one line a second says so, however many listeners there are and however fast clients come.
func TestFailingAcceptsInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer // written by one goroutine at a time: accepts fail in turns
		failing := acceptLog(zerolog.New(&out).Level(zerolog.InfoLevel))
		for want := 1; want <= 3; want++ {
			for range 10 {
				for range 2 {
					if _, err := newSteadyListener(&badListener{errs: []error{syscall.EMFILE}}, failing).Accept(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := strings.Count(out.String(), `"error":"accept tcp: accept4: too many open files"`); got != want {
				t.Errorf("%d lines by second %d, want one each", got, want)
			}
			time.Sleep(acceptLogEvery)
		}
	})
}

// Close ends a pause, or a server could not stop while it is short of descriptors.
func TestCloseWhileAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &badListener{}
		for range 100 {
			bad.errs = append(bad.errs, syscall.EMFILE)
		}
		l := newSteadyListener(bad, zerolog.Nop())
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { l.Close(); l.Close() })
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || time.Since(began) != 3*time.Second {
			t.Errorf("Accept = %v after %v, want net.ErrClosed when it is closed", err, time.Since(began))
		}
	})
}
