package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/doyasa/doyasa/internal/config"
)

// newRoot returns the whole command tree. Without a subcommand it runs the server.
func newRoot(environ []string) *cobra.Command {
	serve := newServe(environ)
	showVersion := false
	root := &cobra.Command{
		Use:   "doyasa",
		Short: "A broadcast chat server: press どやさ in one tab, see it in every tab",
		Long: `doyasa is a broadcast chat server in one program, page included.

Without a command it runs the server, as "doyasa serve" does. It needs no configuration; ./config.yaml is read if it exists.`,
		Example: "  doyasa                       # then open http://localhost:3000 in two tabs\n" +
			"  doyasa --listen 127.0.0.1:8080\n" +
			"  doyasa config print          # the settings in effect, and where each came from",
		RunE: func(c *cobra.Command, args []string) error {
			if showVersion {
				return printVersion(c)
			}
			return serve.RunE(c, args)
		},
		SilenceUsage:      true, // run prints two lines instead
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.Flags().SortFlags = false
	// Not Command.Version: it would link text/template, and then the linker cannot drop unused methods, which makes the image 4 MB larger.
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.Flags().AddFlagSet(serve.Flags()) // the same flags: with or without "serve" they set serve's settings
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c, explained(c, err)} })
	root.AddCommand(serve, newHealthcheck(environ), newConfig(environ), newExport(environ), newImport(environ), newBench(), newVersion())
	takeNoArguments(root)
	return root
}

// usageError is about a command line that is wrong.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// explained adds the flag that was probably meant to an error about an unknown flag, and removes passwords from an error about a value.
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

// takeNoArguments makes words that are neither a command nor a flag an error, for c and all its subcommands.
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
