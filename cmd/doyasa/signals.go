package main

import (
	"os"
	"os/signal"
	"syscall"
)

// stops are the signals that stop a server.
type stops struct {
	asked  <-chan os.Signal // carries SIGTERM and SIGINT; the second signal ends the process at once; never closed
	hangup <-chan os.Signal // carries SIGHUP, which says that the terminal has closed; it often comes twice, from shell and kernel; never closed
}

// catchSignals returns the stops that get the signals of this process. A signal that was ignored when the process began stays ignored:
// nohup starts a program with SIGHUP ignored, and a shell starts a background program with SIGINT ignored. SIGPIPE is ignored as well, so
// that the server goes on after the reader of its log has ended.
func catchSignals() stops {
	signal.Ignore(syscall.SIGPIPE)
	return stops{asked: notify(syscall.SIGTERM, syscall.SIGINT), hangup: notify(syscall.SIGHUP)}
}

// notify has room for two signals, so that the second SIGTERM is not lost while the first one waits.
func notify(signals ...os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, 2)
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	return c
}
