// Package server is the HTTP edge: it turns requests into sessions, and is the only
// package that knows both the rooms of [hub] and the frames of [wsproto].
//
// A request for /websocket goes through handshake.go, is taken over from net/http and
// becomes a session (session.go), for whose socket package loop moves the bytes. What
// differs between the two forms of the wire is in raw.go and v1.go. The rest is plain
// HTTP: the page, the API, health.
package server

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// Options are what a Server needs to start.
type Options struct {
	Config  config.Config
	Log     zerolog.Logger
	Page    fs.FS  // the built-in page, rooted at index.html
	Version string // as /metrics shows it
	// Journal orders and keeps what is said. Whoever opened it ends it, after Shutdown.
	// Nil: one in memory, bounded by Config.History.
	Journal hub.Journal
	// History has the figures of a durable Journal for /metrics. Nil: none are shown.
	History func() HistoryStats
}

// sockets moves the bytes of sessions; see package loop.
type sockets interface {
	Serve(nc net.Conn, early []byte, open func(loop.Conn) loop.Session) bool
	Shutdown(ctx context.Context) error
	Stats() loop.Stats
}

// A Server answers HTTP and holds the sessions that grow out of it. Its methods may be
// called from any goroutine.
type Server struct {
	// Immutable.
	cfg        config.Config
	log        zerolog.Logger
	assets     map[string]asset // the built-in page, by path
	hub        *hub.Hub
	sockets    sockets
	maxConns   int
	origins    map[string]bool
	identities *identities
	history    func() HistoryStats // nil: none are kept
	quotas     quotas
	lines      *lines
	proxies    []netip.Prefix // whose X-Forwarded-For is believed
	metrics    *metrics
	namespace  uuid.UUID // of ids derived for those who post over HTTP

	guests      atomic.Int64 // guest names given
	lastBeat    atomic.Pointer[beat]
	settling    settling
	answering   answering
	encoding    sync.Mutex   // held while a page of history is encoded
	began       time.Time    // immutable
	assemblers  sync.Pool    // of *wsproto.Assembler, each between two messages
	assembling  atomic.Int64 // bytes that all sessions hold for unfinished messages, and of what must wait
	draining    atomic.Bool  // Shutdown has begun
	proxyWarned atomic.Bool  // see warnOfProxy

	mu         sync.Mutex
	conns      int                   // guarded by mu: sockets promised or held
	perAddress map[network]int       // guarded by mu: of them, by address, if limits.connections_per_ip counts
	sessions   map[*session]struct{} // guarded by mu
	speaking   map[*session]struct{} // guarded by mu: from which Shutdown must still expect something said
	silent     chan struct{}         // closed once, by who empties speaking
	ready      readiness
}

// New returns a Server with its hub and loop running. Shutdown ends them. The error is
// one of reading the page.
func New(o Options) (*Server, error) {
	cfg := o.Config
	assets, err := readAssets(o.Page)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:        cfg,
		history:    o.History,
		log:        o.Log,
		assets:     assets,
		maxConns:   maxConnections(cfg.Limits.Connections),
		origins:    make(map[string]bool),
		identities: newIdentities(),
		quotas:     newQuotas(cfg.Limits),
		lines:      newLines(o.Log),
		perAddress: make(map[network]int),
		namespace:  uuid.New(),
		sessions:   make(map[*session]struct{}),
		silent:     make(chan struct{}),
	}
	s.metrics = newMetrics(s, o.Version)
	for _, proxies := range cfg.TrustedProxies {
		s.proxies = append(s.proxies, netip.MustParsePrefix(proxies)) // config has read it before
	}
	for _, origin := range cfg.Origins() {
		s.origins[origin] = true
	}
	journal := o.Journal
	if journal == nil {
		journal = hub.NewMemory(hub.MemoryOptions{
			Messages:   cfg.History.Messages,
			Bytes:      int(cfg.History.Bytes),
			TotalBytes: int(cfg.History.TotalBytes),
			MaxAge:     cfg.History.MaxAge,
			NewEpoch:   func() string { return uuid.Must(uuid.NewV7()).String() },
		})
	}
	s.hub = hub.New(hub.Options{
		Journal:     journal,
		DefaultRoom: cfg.Rooms.Default,
		MaxRooms:    cfg.Rooms.Max,
	})
	s.began = time.Now()
	s.assemblers.New = func() any {
		return wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{MessageBytes: cfg.Limits.MessageBytes, Fragments: cfg.Limits.MessageFragments})
	}
	s.sockets = loop.New(loop.Options{SlowTimeout: cfg.Limits.SlowTimeout, Tick: tick(cfg.Limits)})
	return s, nil
}

// tick is fine enough for the shortest timer there is, and no finer than needed.
func tick(l config.Limits) time.Duration {
	shortest := min(l.PingInterval, l.PongTimeout, l.SlowTimeout)
	return min(max(shortest/8, 5*time.Millisecond), 250*time.Millisecond)
}

// Handler answers everything but health and metrics, and those as well unless ops_listen
// is set.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/websocket", s.serveWebSocket)
	mux.HandleFunc("GET /api/rooms/{room}/messages", s.getMessages)
	mux.HandleFunc("POST /api/rooms/{room}/messages", s.postMessage)
	mux.HandleFunc("/api/rooms/{room}/messages", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD, POST")
		answerError(w, http.StatusMethodNotAllowed, "bad_method", "messages are read with GET and said with POST", 0)
	})
	s.routePage(mux)
	if s.cfg.OpsListen == "" {
		s.routeOps(mux)
	}
	return mux
}

// OpsHandler answers health and metrics alone, for ops_listen.
func (s *Server) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	s.routeOps(mux)
	return mux
}

// Shutdown ends everything in an orderly way: new connections are refused, nothing more
// is read from the old ones, and what has been said until then is published, so that all
// end with the same message. Then every member is told when to come back, and the
// connections close. It returns ctx's error if some had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.draining.Swap(true) {
		return errors.New("server: shut down twice")
	}
	s.mu.Lock()
	sessions := slices.Collect(maps.Keys(s.sessions))
	s.speaking = maps.Clone(s.sessions)
	if len(sessions) == 0 {
		close(s.silent)
	}
	s.mu.Unlock()
	for _, session := range sessions {
		session.conn.Post(session.mute)
	}
	quiet, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	select {
	case <-s.silent:
	case <-quiet.Done():
	}
	s.hub.Flush(quiet)

	spread := max(time.Second, time.Duration(len(sessions))*time.Millisecond)
	for _, session := range sessions {
		session.conn.Post(func() { session.shutdown(rand.N(spread)) })
	}
	err := s.sockets.Shutdown(ctx)
	s.hub.Close()
	return err
}

// silence says that nothing more is read from a session, for Shutdown.
func (s *Server) silence(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waited := s.speaking[session]; waited {
		delete(s.speaking, session)
		if len(s.speaking) == 0 {
			close(s.silent)
		}
	}
}

// reserve promises one more connection, or tells of what there are too many.
func (s *Server) reserve(from requester) *denial {
	limits := s.cfg.Limits
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.maxConns {
		return &denial{status: http.StatusServiceUnavailable, reason: "connections", setting: "limits.connections", seen: s.conns, allowed: s.maxConns,
			detail: "the server is full", retry: 10 * time.Second}
	}
	if limits.ConnectionsPerIP > 0 {
		n := s.perAddress[from.network()]
		if n >= limits.ConnectionsPerIP {
			return &denial{status: http.StatusTooManyRequests, reason: "connections_per_ip", setting: "limits.connections_per_ip", seen: n, allowed: limits.ConnectionsPerIP,
				detail: "too many connections from one address", retry: 10 * time.Second}
		}
		s.perAddress[from.network()] = n + 1
	}
	s.conns++
	return nil
}

// release gives a promised connection back.
func (s *Server) release(from network) {
	s.mu.Lock()
	s.unreserve(from)
	s.mu.Unlock()
}

// unreserve undoes reserve. Called with mu held.
func (s *Server) unreserve(from network) {
	s.conns--
	if n, counted := s.perAddress[from]; counted {
		if s.perAddress[from]--; n == 1 {
			delete(s.perAddress, from)
		}
	}
}

// add lists a new session for Shutdown. One that comes too late for it says nothing.
func (s *Server) add(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session] = struct{}{}
	if s.draining.Load() {
		session.muted = true
		session.conn.Post(func() { session.shutdown(0) })
	}
}

func (s *Server) remove(session *session) {
	s.mu.Lock()
	delete(s.sessions, session)
	s.unreserve(session.from().network())
	s.mu.Unlock()
}

// clock is the time since the server was made, which never jumps and takes a third of the
// memory of a time.Time.
func (s *Server) clock(now time.Time) time.Duration { return now.Sub(s.began) }
