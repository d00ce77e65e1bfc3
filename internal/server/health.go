package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/doyasa/doyasa/hub"
)

const (
	readyTimeout = time.Second // how long the round trip of /readyz may take
	readyEvery   = time.Second // at most one round trip is made in this time
)

// readiness is the result of the last round trip.
type readiness struct {
	mu   sync.Mutex // held during the round trip, so that all requests wait for the same one
	err  error      // guarded by mu
	when time.Time  // guarded by mu
}

// routeOps adds three paths. /healthz tells that the process serves HTTP, /readyz tells whether a message
// would be delivered, and /metrics has the metrics. /readyz gives the reason why the server is not ready only
// if reasons is set, because the reason may name the folder, the user or the address of the store.
func (s *Server) routeOps(mux *http.ServeMux, reasons bool) {
	alive := func(w http.ResponseWriter, r *http.Request) { plain(w, http.StatusOK, "ok") }
	ready := func(w http.ResponseWriter, r *http.Request) {
		switch err := s.roundTrip(); {
		case s.draining.Load():
			plain(w, http.StatusServiceUnavailable, "shutting down")
		case err == nil:
			plain(w, http.StatusOK, "ready")
		case reasons:
			plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		default:
			plain(w, http.StatusServiceUnavailable, "not ready")
		}
	}
	// HAProxy's `option httpchk /readyz` sends OPTIONS.
	mux.Handle("/healthz", methods{http.MethodGet: alive, http.MethodOptions: alive})
	mux.Handle("/readyz", methods{http.MethodGet: ready, http.MethodOptions: ready})
	mux.Handle("/metrics", methods{http.MethodGet: s.metrics.handler().ServeHTTP})
}

// roundTrip makes a round trip through the hub and the journal. If the last one is less than a second old, it
// returns the result of that. A new reason for a failure is logged, unless the journal has logged it.
func (s *Server) roundTrip() error {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if time.Since(s.ready.when) < readyEvery {
		return s.ready.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	before := s.ready.err
	s.ready.err = s.hub.Ping(ctx)
	s.ready.when = time.Now()
	isNew := s.ready.err != nil && (before == nil || before.Error() != s.ready.err.Error())
	if isNew && !errors.Is(s.ready.err, hub.ErrUnavailable) && !s.draining.Load() {
		s.log.Warn().Err(s.ready.err).Msg("not ready: a test message has not come through the hub and the history")
	}
	return s.ready.err
}

// exportHistory answers with everything that is stored. If it fails halfway, it breaks the connection, so
// that the client does not take the answer for a complete one.
func (s *Server) exportHistory(w http.ResponseWriter, r *http.Request) {
	if s.export == nil {
		plain(w, http.StatusNotFound, "there is no history on a disk: history.store is memory")
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the answer may take as long as the client needs to read it
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	n, err := s.export(w)
	if err != nil {
		s.log.Error().Err(err).Int("messages", n).Msg("an export broke off")
		panic(http.ErrAbortHandler)
	}
	s.log.Info().Int("messages", n).Msg("the history was exported")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text + "\n"))
}
