package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// readyTimeout bounds the round trip of /readyz, readyEvery how often there is one.
const (
	readyTimeout = time.Second
	readyEvery   = time.Second
)

// readiness is the last answer of a round trip.
type readiness struct {
	mu   sync.Mutex // held during the round trip: all who ask wait for the one
	err  error      // guarded by mu
	when time.Time  // guarded by mu
}

// routeOps adds /healthz, which says that the process serves HTTP, /readyz, which says
// that a message would get through, and /metrics.
func (s *Server) routeOps(mux *http.ServeMux) {
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		plain(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		switch err := s.roundTrip(); {
		case s.draining.Load():
			plain(w, http.StatusServiceUnavailable, "shutting down")
		case err != nil:
			plain(w, http.StatusServiceUnavailable, "no round trip through the hub: "+err.Error())
		default:
			plain(w, http.StatusOK, "ready")
		}
	})
}

// roundTrip makes a round trip through the hub and the journal, or answers with the
// one of less than a second ago.
func (s *Server) roundTrip() error {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if time.Since(s.ready.when) < readyEvery {
		return s.ready.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	s.ready.err = s.hub.Ping(ctx)
	s.ready.when = time.Now()
	return s.ready.err
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}
