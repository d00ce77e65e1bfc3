package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/doyasa/doyasa/internal/config"
)

// newRoot is the whole command tree. Without a subcommand it serves.
func newRoot(environ []string) *cobra.Command {
	serve := newServe(environ)
	showVersion := false
	root := &cobra.Command{
		Use:   "doyasa",
		Short: "A broadcast chat server: press どやさ in one tab, see it in every tab",
		Long: `doyasa is a broadcast chat server in one program, page included.

Without a command it serves, as "doyasa serve" does. It needs no configuration; ./config.yaml is read if it is there.`,
		Example: "  doyasa                       # then open http://localhost:3000 in two tabs\n" +
			"  doyasa --listen 127.0.0.1:8080\n" +
			"  doyasa config print          # the settings in effect and where they came from",
		RunE: func(c *cobra.Command, args []string) error {
			if showVersion {
				return printVersion(c)
			}
			return serve.RunE(c, args)
		},
		SilenceUsage:      true, // run says it in two lines
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.Flags().SortFlags = false
	// Not Command.Version: its template would link text/template, which keeps the linker from dropping what is not called, and makes
	// the image 4 MB larger.
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.Flags().AddFlagSet(serve.Flags()) // the same flags, so they end in serve's settings whichever way it was called
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c, explained(c, err)} })
	root.AddCommand(serve, newHealthcheck(environ), newConfig(environ), newExport(environ), newImport(environ), newBench(), newVersion())
	takeNoArguments(root)
	return root
}

// usageError is a command line that makes no sense.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// explained adds to the error about an unknown flag which one was probably meant, and takes passwords out of one about a value.
func explained(c *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("invalid argument %q for %q flag: %w", config.Hidden(invalid.GetValue()), "--"+invalid.GetFlag().Name, invalid.Unwrap())
	}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if name := config.Nearest(unknown.GetSpecifiedName(), names); name != "" {
		return fmt.Errorf("%w; the nearest is --%s", err, name)
	}
	return err
}

// takeNoArguments makes words that are neither command nor flag an error, for c and everything below it.
func takeNoArguments(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if !c.HasAvailableSubCommands() {
			return &usageError{c, fmt.Errorf("%q: no arguments wanted", args[0])}
		}
		c.SuggestionsMinimumDistance = 2
		names := c.SuggestionsFor(args[0])
		if len(names) == 0 {
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name())
				}
			}
		}
		return &usageError{c, fmt.Errorf("unknown command %q; want %s", args[0], strings.Join(names, ", "))}
	}
	for _, sub := range c.Commands() {
		takeNoArguments(sub)
	}
}
