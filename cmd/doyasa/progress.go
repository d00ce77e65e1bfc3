package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/doyasa/doyasa/internal/bench"
)

// progressInterval is the time between two lines about the same phase when the output is not a terminal.
const progressInterval = 10 * time.Second

// showProgress returns a function that shows the progress of a run, and a function that must be called when the run ends. On a terminal,
// show overwrites one line, and end removes it. Otherwise show writes a line when a phase begins, and then one every progressInterval.
func showProgress(w io.Writer) (show func(bench.Progress), end func()) {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return showOnTerminal(w)
	}
	phase, next := "", time.Duration(0)
	return func(p bench.Progress) {
		if p.Phase != phase || p.Elapsed >= next {
			phase, next = p.Phase, p.Elapsed+progressInterval
			fmt.Fprintln(w, p)
		}
	}, func() {}
}

func showOnTerminal(w io.Writer) (show func(bench.Progress), end func()) {
	const clear = "\r\x1b[K"
	return func(p bench.Progress) { fmt.Fprint(w, clear, p) }, func() { fmt.Fprint(w, clear) }
}
