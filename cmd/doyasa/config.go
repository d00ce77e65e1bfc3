package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/config"
)

func newConfig(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the settings, or print those in effect",
		RunE: func(c *cobra.Command, _ []string) error {
			return &usageError{c, fmt.Errorf("want a command: check or print")}
		},
	}
	c.AddCommand(newConfigCheck(environ), newConfigPrint(environ))
	return c
}

func newConfigCheck(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Read the settings as serve would, print the mistakes, and start nothing",
		Long:  "Reads file, environment and flags as serve would, and prints one line for each mistake. Starts nothing.",
	}
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		warn(c, l)
		if l.File == "" {
			fmt.Fprintln(c.OutOrStdout(), "ok (no file)")
		} else {
			fmt.Fprintf(c.OutOrStdout(), "ok (%s)\n", l.File)
		}
		return nil
	}
	return c
}

func newConfigPrint(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the settings in effect as YAML, and where each came from",
		Long: "Prints the settings in effect as a file that can be read back. A comment after each value that is not a default\n" +
			"names the line of the file, the environment variable or the flag that it came from.",
	}
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		warn(c, l)
		_, err = fmt.Fprint(c.OutOrStdout(), l.YAML())
		return err
	}
	return c
}

// warn prints the notices that serve would log.
func warn(c *cobra.Command, l *config.Loaded) {
	for _, notice := range l.Notices {
		fmt.Fprintln(c.ErrOrStderr(), "doyasa:", notice)
	}
}
