package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/journal"
)

func newExport(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the history in history.dir as JSON Lines",
		Long: "Writes every message that is stored in history.dir to stdout, one JSON object on each line, in the order of all rooms.\n" +
			"It changes nothing, and also works on a full or read-only disk. If a server is running with this history, the export comes from\n" +
			"that server, which must have ops_listen set. The ids of messages that are no longer kept, which only matter for retries, are not\n" +
			"exported.",
		Example: "  doyasa export --history-dir data > history.jsonl\n" +
			"  docker compose exec -T doyasa /doyasa export > history.jsonl",
	}
	salvage := c.Flags().Bool("salvage", false, "export the readable part of a damaged history, and list the damage on stderr")
	s := addSettings(c, environ, "ops_listen", "history.dir")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		n, err := journal.Export(l.History.Dir, c.OutOrStdout(), *salvage)
		if errors.Is(err, journal.ErrInUse) && l.OpsListen != "" {
			if err := askForExport(c.Context(), l, c.OutOrStdout()); err != nil {
				return err
			}
			fmt.Fprintln(c.ErrOrStderr(), "exported by the running server")
			return nil
		}
		if errors.Is(err, journal.ErrInUse) {
			return fmt.Errorf("%w; with ops_listen set, a running server is asked for the export", err)
		}
		if err != nil {
			return errors.Join(err, fmt.Errorf("%d messages were exported", n))
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d messages exported\n", n)
		return nil
	}
	return c
}

// askForExport copies the export of the running server to w.
func askForExport(ctx context.Context, l *config.Loaded, w io.Writer) error {
	host, port, err := net.SplitHostPort(l.OpsListen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/export"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := new(http.Transport).RoundTrip(request) // not by way of a proxy for the rest of the world
	if err != nil {
		return fmt.Errorf("a server uses this history, but does not answer on ops_listen: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server that uses this history answers %s to %s", response.Status, url)
	}
	_, err = io.Copy(w, response.Body) // it also fails if the server has ended the export early
	return err
}

func newImport(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Fill an empty history.dir from JSON Lines",
		Long: "Reads what export has written from stdin and stores all of it in history.dir, which must be empty. The server must be stopped.\n" +
			"Messages keep their ids and times, and get new positions, so clients that were connected before get recent history anew. A line\n" +
			"that could not be kept as it is ends the import with an error that names it.",
		Example: "  doyasa import --history-dir data < history.jsonl",
	}
	s := addSettings(c, environ, "history.dir")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		n, err := journal.Import(journalOptions(l), c.InOrStdin(), sayable)
		if err != nil {
			return errors.Join(err, fmt.Errorf("%d lines were imported before that", n))
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d lines imported\n", n)
		return nil
	}
	return c
}

// sayable returns an error if no client could have sent the text under that name in that room. A client of the raw form can send any text
// that is not empty.
func sayable(room, name, text string) error {
	if clean, ok := config.CleanRoom(room); !ok || clean != room {
		return errors.New(`"room" must be the name of a room as the server shows it`)
	}
	if clean, ok := chat.CleanName(name); !ok || clean != name {
		return errors.New(`the "name" in "from" must be a name as the server shows it`)
	}
	if text == "" {
		return errors.New(`"text" must not be empty`)
	}
	return nil
}
