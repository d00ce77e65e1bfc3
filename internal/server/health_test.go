package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/config"
)

// A refusing journal returns every message with an error, as long as it has one.
type refusing struct {
	hub.Journal
	err     error
	deliver func(hub.Entry)
}

func (j *refusing) Open(room string, deliver func(hub.Entry)) (hub.Opened, error) {
	j.deliver = deliver
	return j.Journal.Open(room, deliver)
}

func (j *refusing) Append(room string, m *hub.Message) {
	if j.err != nil {
		j.deliver(hub.Entry{Message: m, Err: j.err})
		return
	}
	j.Journal.Append(room, m)
}

// Strangers can ask /readyz on the public port, so it says only that the server is not ready. The reason stands on /readyz of
// ops_listen, and once in the log. That it is shutting down is no secret.
func TestReadinessKeepsItsReason(t *testing.T) {
	const secret = "data/SECRET: user 65532 may not write"
	for _, tt := range []struct {
		name   string
		fail   func(j *refusing, held *journaltest.Async, s *Server)
		reason string
		lines  int // in the log
	}{
		// The journal itself logs why it is unavailable.
		{"the store refuses", func(j *refusing, _ *journaltest.Async, _ *Server) {
			j.err = fmt.Errorf("%w: %s", hub.ErrUnavailable, secret)
		}, secret, 0},
		{"another fault of the store", func(j *refusing, _ *journaltest.Async, _ *Server) { j.err = fmt.Errorf("nats://10.0.0.7: %s", secret) }, secret, 1},
		{"the store does not answer", func(j *refusing, held *journaltest.Async, _ *Server) { j.Journal = held }, "deadline exceeded", 1},
		{"shutting down", func(_ *refusing, _ *journaltest.Async, s *Server) { s.Shutdown(context.Background()) }, "shutting down", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				held := journaltest.NewAsync(journaltest.Options{Held: true})
				defer held.Stop()
				j := &refusing{Journal: hub.NewMemory(hub.MemoryOptions{Messages: 10, Bytes: 1 << 20, TotalBytes: 1 << 20, NewEpoch: func() string { return "e" }})}
				log := new(lockedBuffer)
				s, err := New(Options{Config: config.Default(), Log: zerolog.New(log), Page: fstest.MapFS{"index.html": {}}, Journal: j})
				if err != nil {
					t.Fatal(err)
				}
				public, ops := s.Handler(), s.OpsHandler()
				tt.fail(j, held, s)
				want := "not ready\n"
				if tt.reason == "shutting down" {
					want = "shutting down\n"
				}
				for range 3 {
					if w := ask(public, "GET", "/readyz"); w.Code != 503 || w.Body.String() != want {
						t.Errorf("/readyz on listen: %d %q, want 503 and %q", w.Code, w.Body, want)
					}
					if w := ask(ops, "GET", "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), tt.reason) {
						t.Errorf("/readyz on ops_listen: %d %q, want 503 and %q", w.Code, w.Body, tt.reason)
					}
					time.Sleep(readyEvery)
				}
				if n := strings.Count(log.String(), tt.reason); n != tt.lines {
					t.Errorf("the reason is in the log %d times, want %d:\n%s", n, tt.lines, log)
				}
				held.Free()
				if tt.reason != "shutting down" {
					s.Shutdown(t.Context())
				}
			})
		})
	}
}
