// Command doyasa is the chat server and its few tools, one file per subcommand. It only reads flags, wires packages together and
// starts them; it must not know a rule of the room, of the wire or of a setting.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	_ "time/tzdata" // TZ counts in an image without time zones as well
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit status: 0, 1 for a failure, 2 for a command line that makes no sense.
// Errors go to stderr, a line each.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRoot(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "doyasa:", line)
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(stderr, "usage: %s; more with %s --help\n", u.cmd.UseLine(), u.cmd.CommandPath())
		return 2
	}
	return 1
}
