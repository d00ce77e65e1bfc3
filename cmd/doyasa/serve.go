package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
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
		Long: "Runs the server until SIGTERM or SIGINT, then lets everybody go within limits.drain_timeout; a second signal ends it at once.\n\n" +
			"Every flag is a key of config.yaml. Flags beat the environment (DOYASA_LIMITS_BURST for limits.burst), which beats the file.",
	}
	s := addSettings(c, environ)
	c.RunE = func(c *cobra.Command, _ []string) error {
		signals := make(chan os.Signal, 2) // of this process; two, so that the second is never lost; never closed
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(signals)
		l, err := s.load()
		if err != nil {
			return err
		}
		return serve(c.Context(), l, c.OutOrStdout(), signals)
	}
	return c
}

// serve runs the server with a configuration until a signal, logging to w.
func serve(ctx context.Context, l *config.Loaded, w io.Writer, signals <-chan os.Signal) error {
	log, err := newLogger(w, l.Log)
	if err != nil {
		return err
	}
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
		options.Journal, options.History, stop = history, historyStats(history), history.Stop
	}
	app, err := server.New(options)
	if err != nil {
		return errors.Join(err, stop())
	}
	failed := make(chan error, 2) // why a listener ended, from each one's goroutine; never closed
	servers, err := open(ctx, l, app, failed, log)
	if err != nil {
		return errors.Join(err, stop())
	}

	select {
	case err = <-failed: // not asked for, so never http.ErrServerClosed
	case got := <-signals:
		log.Info().Stringer("signal", got).Stringer("within", l.Limits.DrainTimeout).Msg("letting everybody go; a second signal ends at once")
	}
	return errors.Join(err, drain(ctx, app, servers, stop, l.Limits.DrainTimeout, signals, log))
}

// open begins to listen and says so. What ends a listener goes to failed.
func open(ctx context.Context, l *config.Loaded, app *server.Server, failed chan<- error, log zerolog.Logger) ([]*http.Server, error) {
	listener, err := listen(ctx, "listen", l.Listen)
	if err != nil {
		return nil, err
	}
	public := newHTTPServer(ctx, app, app.Handler(), l.Limits, log)
	if l.TLS == (config.TLS{}) {
		go func() { failed <- public.Serve(listener) }()
	} else {
		shown, err := newCertificate(l.TLS, log)
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		public.TLSConfig = shown.config()
		go func() { failed <- public.ServeTLS(listener, "", "") }()
	}
	servers := []*http.Server{public}
	if l.OpsListen != "" {
		opsListener, err := listen(ctx, "ops_listen", l.OpsListen)
		if err != nil {
			return nil, errors.Join(err, public.Close())
		}
		ops := newHTTPServer(ctx, app, app.OpsHandler(), l.Limits, log)
		go func() { failed <- ops.Serve(opsListener) }()
		servers = append(servers, ops)
		log.Info().Stringer("address", opsListener.Addr()).Msg("health and metrics are here only")
	}
	announce(l, listener.Addr(), log)
	return servers, nil
}

// historyGrace is how long a history that does not answer is waited for once the drain timeout is over.
const historyGrace = 2 * time.Second

// drain ends every connection in an orderly way within timeout, and then the history with stop. The listeners stay open meanwhile,
// so that whoever comes is told to come back instead of finding nobody. A signal ends the wait with an error, and so does a history
// that does not answer, on a disk that hangs for instance; what is still running then ends with the process.
func drain(ctx context.Context, app *server.Server, servers []*http.Server, stop func() error, timeout time.Duration, signals <-chan os.Signal, log zerolog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan error, 1) // the outcome, once, from the goroutine below; never closed
	go func() {
		err := app.Shutdown(ctx)
		for _, s := range servers {
			err = errors.Join(err, s.Shutdown(ctx))
		}
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn().Msg("limits.drain_timeout is over; the rest was cut off")
			for _, s := range servers {
				s.Close()
			}
			err = nil
		}
		done <- errors.Join(err, stop())
	}()
	select {
	case got := <-signals:
		return fmt.Errorf("%s again: ended at once", got)
	case <-time.After(timeout + historyGrace):
		return errors.New("limits.drain_timeout is over and the history does not answer: ended without it")
	case err := <-done:
		log.Info().Msg("stopped")
		return err
	}
}

const (
	maxHeaderBytes = 16 << 10         // of a request; net/http adds some slack
	writeTimeout   = 30 * time.Second // from a request's header to the end of its answer; a WebSocket is not held to it
	idleTimeout    = 15 * time.Second // between two requests on one connection
)

// newHTTPServer speaks HTTP/1.1 only: a WebSocket handshake (RFC 6455 section 4.1) takes a connection over whole, which no
// stream of HTTP/2 can give.
func newHTTPServer(ctx context.Context, app *server.Server, h http.Handler, limits config.Limits, log zerolog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.HandshakeTimeout,
		ReadTimeout:       2 * limits.HandshakeTimeout, // of a body that nobody wants, which net/http waits for before it closes
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          httpLog(log),
		ConnState:         app.ConnState,
	}
}

// keepalive probes find a peer whose machine is gone after about half a minute, also where a connection is not a WebSocket yet.
var keepalive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

// listen opens the address of a key. MPTCP is off, as plain sockets are all that is measured and tested.
func listen(ctx context.Context, key, address string) (net.Listener, error) {
	lc := listenConfig()
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return tuned(l), nil
	case errors.Is(err, syscall.EADDRINUSE):
		flag := strings.ReplaceAll(key, "_", "-")
		return nil, fmt.Errorf("%s: %s is taken by another program; --%s chooses another address", key, address, flag)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: user %d may not listen on %s; ports from 1024 need no privilege", key, os.Getuid(), address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is no address of this machine", key, address)
	}
	return nil, fmt.Errorf("%s: %w", key, err)
}

// announce logs where to find the page, and what a server that others can reach probably still wants.
func announce(l *config.Loaded, address net.Addr, log zerolog.Logger) {
	host, _, _ := net.SplitHostPort(l.Listen)
	bound, _ := address.(*net.TCPAddr)
	if host == "" || bound.IP.IsUnspecified() || bound.IP.IsLoopback() {
		host = "localhost"
	}
	scheme := "http"
	if l.TLS != (config.TLS{}) {
		scheme = "https"
	}
	url := cmp.Or(l.PublicURL, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(bound.Port)))
	log.Info().Str("version", buildVersion()).Stringer("address", address).Msg("doyasa is ready: open " + url + " in two tabs")
	if l.PublicURL == "" && !bound.IP.IsLoopback() {
		log.Warn().Msg("whoever reaches this port can read and write, and public_url is not set: set it to the address people open, " +
			"or keep the port to this machine (--listen 127.0.0.1:3000, with compose DOYASA_PORT=127.0.0.1:3000)")
	}
}
