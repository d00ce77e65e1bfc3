package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/server"
)

// open listens on the configured addresses and logs them. If a listener ends later, its error is sent to failed.
func open(ctx context.Context, l *config.Loaded, app *server.Server, failed chan<- error, log zerolog.Logger) ([]*http.Server, error) {
	failing := acceptLog(log)
	listener, err := listen(ctx, "listen", l.Listen, failing)
	if err != nil {
		return nil, err
	}
	public := newHTTPServer(ctx, app, app.Handler(), l.Limits, log)
	if l.Certificate == nil {
		go func() { failed <- public.Serve(listener) }()
	} else {
		public.TLSConfig = newCertificate(l, log).config()
		go func() { failed <- public.ServeTLS(listener, "", "") }()
	}
	servers := []*http.Server{public}
	if l.OpsListen != "" {
		opsListener, err := listen(ctx, "ops_listen", l.OpsListen, failing)
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

const (
	maxHeaderBytes = 16 << 10         // the largest header of a request; net/http allows a little more
	writeTimeout   = 30 * time.Second // the longest time from a request's header to the end of its answer; does not apply to WebSockets
)

// newHTTPServer returns a server for HTTP/1.1 only: a WebSocket handshake (RFC 6455 section 4.1) takes over the whole connection, and a
// stream of HTTP/2 is not a connection.
func newHTTPServer(ctx context.Context, app *server.Server, h http.Handler, limits config.Limits, log zerolog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: limits.HandshakeTimeout,
		ReadTimeout:       2 * limits.HandshakeTimeout, // it also bounds the body: net/http reads the rest of a refused request's body before it closes
		WriteTimeout:      writeTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          httpLog(log),
		ConnState:         app.ConnState,
	}
}

// keepalive ends a connection about half a minute after the client's machine has gone, even if the connection is not a WebSocket yet.
var keepalive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

// listen opens the address of a setting. MPTCP is off, because only plain TCP is measured and tested.
func listen(ctx context.Context, key, address string, failing zerolog.Logger) (net.Listener, error) {
	lc := listenConfig()
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return newSteadyListener(tuned(l), failing), nil
	case errors.Is(err, syscall.EADDRINUSE):
		flag := strings.ReplaceAll(key, "_", "-")
		return nil, fmt.Errorf("%s: %s is taken by another program; --%s chooses another address", key, address, flag)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: user %d may not listen on %s; ports from 1024 need no privilege", key, os.Getuid(), address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is not an address of this machine", key, address)
	}
	return nil, fmt.Errorf("%s: %w", key, err)
}

// announce logs the address to open, and warns if others can reach a server that was not set up for that.
func announce(l *config.Loaded, address net.Addr, log zerolog.Logger) {
	host, port, _ := net.SplitHostPort(cmp.Or(l.Published, l.Listen))
	bound, _ := address.(*net.TCPAddr)
	if l.Published == "" {
		port = strconv.Itoa(bound.Port)
	}
	ip := net.ParseIP(host)
	private := host == "localhost" || ip.IsLoopback()
	if host == "" || private || ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if l.Certificate != nil {
		scheme = "https"
	}
	url := cmp.Or(l.PublicURL, scheme+"://"+net.JoinHostPort(host, port))
	log.Info().Str("version", buildVersion()).Stringer("address", address).Msg("doyasa is ready: open " + url + " in two tabs")
	if l.PublicURL == "" && !private {
		log.Warn().Msg("everybody who reaches this port can read and write, and public_url is not set: set it to the address that people open, " +
			"or keep the port to this machine (--listen 127.0.0.1:3000, with compose DOYASA_PORT=127.0.0.1:3000)")
	}
}
