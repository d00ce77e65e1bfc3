package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/server"
	"github.com/doyasa/doyasa/static"
)

func newServe(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server (the default)",
		Long: "Runs the server until SIGTERM or SIGINT, or until its terminal closes (SIGHUP). Then it says goodbye to all clients, within\n" +
			"limits.drain_timeout. A second SIGTERM or SIGINT ends it at once.\n\n" +
			"Every flag is a key of config.yaml. Flags beat the environment (DOYASA_LIMITS_BURST for limits.burst), which beats the file.",
	}
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		stops := catchSignals()
		l, err := s.load()
		if err != nil {
			return err
		}
		return serve(c.Context(), l, c.OutOrStdout(), stops)
	}
	return c
}

// serve runs the server with a configuration until it is told to stop, logging to w.
func serve(ctx context.Context, l *config.Loaded, w io.Writer, stops stops) error {
	log, endLog, err := newLogger(w, l.Log)
	if err != nil {
		return err
	}
	defer endLog()
	for _, notice := range l.Notices {
		log.Warn().Msg(notice)
	}
	options := server.Options{Config: l.Config, Log: log, Page: static.Files, Version: buildVersion()}
	history, err := openHistory(l, log)
	if err != nil {
		return err
	}
	stop := func() error { return nil }
	if history != nil {
		options.Journal, options.History, options.Export, stop = history, historyStats(history), history.Export, history.Stop
	}
	app, err := server.New(options)
	if err != nil {
		return errors.Join(err, stop())
	}
	failed := make(chan error, 2) // carries the error with which a listener ended; the goroutine of each listener sends; never closed
	servers, err := open(ctx, l, app, failed, log)
	if err != nil {
		return errors.Join(err, stop())
	}

	spare := 0 // how many signals still belong to the first one
	select {
	case err = <-failed: // never http.ErrServerClosed, because nobody has closed a listener yet
	case got := <-stops.asked:
		sayGoodbye(log, got, l.Limits.DrainTimeout)
	case got := <-stops.hangup:
		spare = 1 // the end of a login session sends SIGTERM together with SIGHUP
		sayGoodbye(log, got, l.Limits.DrainTimeout)
	}
	return errors.Join(err, drain(ctx, app, servers, stop, l.Limits.DrainTimeout, stops.asked, spare, log))
}

func sayGoodbye(log zerolog.Logger, got os.Signal, within time.Duration) {
	log.Info().Stringer("signal", got).Stringer("within", within).Msg("letting everybody go; a second SIGTERM or SIGINT ends at once")
}

// historyGrace is how much longer than the drain timeout drain waits for a history that does not answer.
const historyGrace = 2 * time.Second

// drain ends every connection in an orderly way within timeout, and then the history with stop. The listeners stay open meanwhile, so
// that newcomers are told to come back instead of finding nobody. A signal ends the wait with an error, and so does a history that does
// not answer, for instance because its disk hangs. What is still running then ends with the process. The first spare signals are ignored.
func drain(ctx context.Context, app *server.Server, servers []*http.Server, stop func() error, timeout time.Duration,
	signals <-chan os.Signal, spare int, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1) // carries the outcome; the goroutine below sends once; never closed
	go func() {
		ended := []error{app.Shutdown(ctx)}
		for _, s := range servers {
			ended = append(ended, s.Shutdown(ctx))
		}
		isLate := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
		if slices.ContainsFunc(ended, isLate) {
			log.Warn().Msg("limits.drain_timeout is over; the remaining connections were cut off")
			for _, s := range servers {
				s.Close()
			}
		}
		ended = append(slices.DeleteFunc(ended, isLate), stop())
		done <- errors.Join(ended...)
	}()
	over := time.After(timeout + historyGrace)
	for {
		select {
		case got := <-signals:
			if spare--; spare < 0 {
				return fmt.Errorf("%s again: ended at once", got)
			}
		case <-over:
			return errors.New("limits.drain_timeout is over and the history does not answer: ended without waiting for it")
		case err := <-done:
			log.Info().Msg("stopped")
			return err
		}
	}
}
