// Package server answers HTTP: the opening handshake of WebSocket (handshake.go), the API (api.go), the page
// (page.go), health (health.go) and metrics (metrics.go). routes.go has their paths. address.go and origin.go
// find out where a request comes from, and errors.go refuses requests.
//
// After a successful handshake, package chat takes over the connection. This package must not know what
// happens on the connection then, nor how rooms work.
package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
)

// Options are what a Server needs to start.
type Options struct {
	Config  config.Config
	Log     zerolog.Logger
	Page    fs.FS  // the built-in page, rooted at index.html
	Version string // the version that /metrics shows
	// Journal orders and keeps messages. The caller closes it after Shutdown. If it is nil, messages are kept in
	// memory within the limits of Config.History.
	Journal hub.Journal
	// History returns the figures of a durable Journal for /metrics. If it is nil, /metrics does not show them.
	History func() HistoryStats
	// Export writes everything that a durable Journal has stored as JSON Lines, and returns how many lines it
	// wrote. If it is nil, there is no export.
	Export func(io.Writer) (int, error)
}

// A Server answers HTTP and owns the rooms and the sessions. Its methods may be called from any goroutine.
type Server struct {
	// Immutable.
	cfg         config.Config
	log         *limit.Log
	assets      map[string]asset // the built-in page, by path
	origins     map[string]bool
	proxies     []netip.Prefix // trusted proxies: their X-Forwarded-For is believed
	namespace   uuid.UUID      // the namespace of the ids of people who post over HTTP
	hub         *hub.Hub
	sessions    *chat.Sessions
	quotas      *limit.Quotas
	connections *limit.Connections
	input       *limit.InputBytes
	history     func() HistoryStats          // nil if there are no such figures
	export      func(io.Writer) (int, error) // nil if there is no export
	metrics     *metrics

	replies     limit.ReplyBudget
	encoding    sync.Mutex  // held while a page of history is encoded
	draining    atomic.Bool // Shutdown has begun
	proxyWarned atomic.Bool // see warnOfProxy
	ready       readiness
}

// New returns a Server, and starts its hub and its sessions. Shutdown ends them. The only possible error is
// that the page cannot be read.
func New(o Options) (*Server, error) { return build(o, hub.Options{}) }

// build does what New does, with given sizes of the logs and inboxes.
func build(o Options, sizes hub.Options) (*Server, error) {
	cfg := o.Config
	assets, err := readAssets(o.Page)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:         cfg,
		log:         limit.NewLog(o.Log),
		assets:      assets,
		origins:     make(map[string]bool),
		namespace:   uuid.New(),
		quotas:      newQuotas(cfg.Limits),
		connections: limit.NewConnections(maxConnections(cfg.Limits.Connections), cfg.Limits.ConnectionsPerIP),
		input:       limit.NewInputBytes(cfg.Limits.MessageBytes),
		history:     o.History,
		export:      o.Export,
	}
	s.metrics = newMetrics(s, o.Version)
	for _, prefix := range cfg.TrustedProxies {
		s.proxies = append(s.proxies, netip.MustParsePrefix(prefix)) // config has validated it
	}
	for _, origin := range cfg.Origins() {
		s.origins[origin] = true
	}
	sizes.Journal, sizes.DefaultRoom, sizes.MaxRooms = o.Journal, cfg.Rooms.Default, cfg.Rooms.Max
	if o.Journal == nil {
		sizes.Journal = hub.NewMemory(hub.MemoryOptions{
			Messages:   cfg.History.Messages,
			Bytes:      int(cfg.History.Bytes),
			TotalBytes: int(cfg.History.TotalBytes),
			MaxAge:     cfg.History.MaxAge,
			NewEpoch:   func() string { return uuid.Must(uuid.NewV7()).String() },
		})
	}
	s.hub = hub.New(sizes)
	s.sessions = chat.New(chat.Options{
		Hub:         s.hub,
		Rooms:       cfg.Rooms,
		Limits:      cfg.Limits,
		Log:         s.log,
		Quotas:      s.quotas,
		Connections: s.connections,
		Input:       s.input,
		Counters:    s.metrics.counters(),
	})
	return s, nil
}

// historyRate is how fast one address may read history. It is enough for an office whose browsers all
// reconnect after a restart, and for a client that reads the whole history page by page.
var historyRate = limit.Rate{PerSecond: 500, Burst: 1000}

func newQuotas(l config.Limits) *limit.Quotas {
	connection := limit.Rate{PerSecond: float64(l.MessagesPerSecond), Burst: float64(l.Burst)}
	perIP, rooms := float64(l.MessagesPerSecondPerIP), float64(l.RoomsPerMinutePerIP)
	return &limit.Quotas{
		Connection: connection,
		Posts:      limit.NewQuota(connection),
		Messages:   limit.NewQuota(limit.Rate{PerSecond: perIP, Burst: max(perIP, float64(l.Burst))}),
		Rooms:      limit.NewQuota(limit.Rate{PerSecond: rooms / 60, Burst: rooms}),
		History:    limit.NewQuota(historyRate),
	}
}

// Shutdown refuses new connections and posts, and ends all sessions as chat.Sessions.Shutdown describes. It
// returns ctx's error if some connections had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.draining.Swap(true) {
		return errors.New("server: shut down twice")
	}
	err := s.sessions.Shutdown(ctx)
	s.hub.Close()
	return err
}
