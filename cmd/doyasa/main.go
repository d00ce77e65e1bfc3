// Command doyasa is the chat server and its few tools, with one file for each subcommand. It only reads flags, connects packages with
// each other and starts them. It also has the settings of the whole process, such as signals. It must not know the rules of rooms, of the
// wire or of single settings.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // the image has no time zones, and the variable TZ must work there, too
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit status: 0, 1 for a failure, 2 for a wrong command line. Errors go to stderr, one
// line each.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	u, isUsage := errors.AsType[*usageError](err)
	told := make(chan struct{}) // carries nothing; the goroutine below closes it
	go func() {
		defer close(told)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintln(stderr, "doyasa:", line)
		}
		if isUsage {
			fmt.Fprintf(stderr, "usage: %s; more with %s --help\n", u.cmd.UseLine(), u.cmd.CommandPath())
		}
	}()
	select {
	case <-told:
	case <-time.After(logGrace): // the process must end even if nobody reads stderr
	}
	if isUsage {
		return 2
	}
	return 1
}
