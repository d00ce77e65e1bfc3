package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/server"
	"github.com/doyasa/doyasa/static"
)

// A connection serves another request as long as it is not idle for limits.idle_timeout, which by default is more than the 60 s after
// which load balancers close it. Then it ends. It does not matter what the last request was.
func TestIdleTimeout(t *testing.T) {
	for _, timeout := range []time.Duration{config.Default().Limits.IdleTimeout, 2 * time.Second, time.Hour} {
		for _, last := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST /api/rooms/tea/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"} {
			t.Run(fmt.Sprintf("%v %.7s", timeout, last), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { idle(t, timeout, last) })
			})
		}
	}
	if least := config.Default().Limits.IdleTimeout; least <= 60*time.Second {
		t.Errorf("by default idle connections end after %v, before a load balancer ends them", least)
	}
}

// idle sends a request, and again shortly before the connection has been idle for the timeout, and then waits for its end.
func idle(t *testing.T, timeout time.Duration, request string) {
	cfg := config.Default()
	cfg.Limits.IdleTimeout = timeout
	app, err := server.New(server.Options{Config: cfg, Log: zerolog.Nop(), Page: static.Files})
	if err != nil {
		t.Fatal(err)
	}
	public := newHTTPServer(context.Background(), app, app.Handler(), cfg.Limits, zerolog.Nop())
	listener := conntest.NewListener(1 << 16)
	serving := make(chan error, 1) // carries the end of Serve; never closed
	go func() { serving <- public.Serve(listener) }()
	defer func() {
		public.Close()
		<-serving
		app.Shutdown(context.Background())
	}()
	nc, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answers := bufio.NewReader(nc)
	for range 3 {
		io.WriteString(nc, request)
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("the connection was closed after less than %v: %v", timeout, err)
		}
		io.Copy(io.Discard, response.Body)
		time.Sleep(timeout - time.Second)
	}
	began := time.Now()
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) || time.Since(began) != time.Second {
		t.Errorf("%v after %v, want the end after one second more", err, time.Since(began))
	}
}
