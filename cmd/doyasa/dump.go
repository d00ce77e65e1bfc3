package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/journal"
)

func newExport(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the history in history.dir as JSON Lines",
		Long: "Writes every message that the embedded history shows to stdout, a JSON object a line, in the order of all rooms.\n" +
			"The server must be stopped. What belongs to a retry only, the ids of messages no longer kept, is not exported.",
		Example: "  doyasa export --history-dir data > history.jsonl\n" +
			"  docker compose stop && docker compose run --rm -T doyasa export > history.jsonl",
	}
	salvage := c.Flags().Bool("salvage", false, "write what can be read of a damaged history; what cannot is listed on stderr")
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		n, err := journal.Export(journalOptions(l), c.OutOrStdout(), *salvage)
		if err != nil {
			return errors.Join(err, fmt.Errorf("%d messages exported before or beside that", n))
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d messages exported\n", n)
		return nil
	}
	return c
}

func newImport(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Fill an empty history.dir from JSON Lines",
		Long: "Reads from stdin what export has written and stores it in history.dir, where nothing may be yet. The server must be stopped.\n" +
			"Everything keeps its id and its time, and gets a new position: who was connected before begins afresh.",
		Example: "  doyasa import --history-dir data < history.jsonl",
	}
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		n, err := journal.Import(journalOptions(l), c.InOrStdin())
		if err != nil {
			return errors.Join(err, fmt.Errorf("%d lines imported before that", n))
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d lines imported\n", n)
		return nil
	}
	return c
}
