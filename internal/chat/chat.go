// Package chat makes members of rooms out of connections. It is the only package that knows both the
// rooms of [hub] and the frames of [wsproto]; package loop moves the bytes.
//
// The files, in the order in which a connection uses them:
//
//	request.go    what the client asks for, and how a connection becomes a session
//	session.go    a session and the table of its phases: what each call does in each phase
//	input.go      turns bytes into messages, and says the messages in the room
//	raw.go, v1.go the two forms of the wire: how each handles a message, and what else each sends
//	catchup.go    what a member of doyasa.v1 is sent before it is live
//	output.go     decides what is written next
//	timers.go     pings, beats, and members that read too slowly
//	ending.go     how one session ends
//	shutdown.go   how all sessions end
//
// frames.go has a table of all frames of doyasa.v1, and codes.go has a table of all stable codes.
//
// This package must not know HTTP: package server answers the opening handshake and hands the connection
// over.
package chat

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// Options are what Sessions need.
type Options struct {
	Hub         *hub.Hub
	Rooms       config.Rooms
	Limits      config.Limits
	Log         *limit.Log
	Quotas      *limit.Quotas
	Connections *limit.Connections // each session releases its reservation when it ends
	Input       *limit.InputBytes
	Counters    Counters
}

// sockets moves the bytes of sessions; see package loop.
type sockets interface {
	Serve(nc net.Conn, early []byte, open func(loop.Conn) loop.Session) bool
	Shutdown(ctx context.Context) error
	Stats() loop.Stats
}

// Sessions are all connections that speak WebSocket. The methods may be called from any goroutine.
type Sessions struct {
	// Immutable.
	Options
	sockets    sockets
	identities *identities
	began      time.Time

	guests     atomic.Int64 // number of guest names given so far
	lastBeat   atomic.Pointer[sharedBeat]
	assemblers sync.Pool // of *wsproto.Assembler; an Assembler in the pool holds no part of a message
	sample     sample
	lag        lag

	mu       sync.Mutex
	all      map[*session]struct{} // guarded by mu
	draining bool                  // guarded by mu: Shutdown has begun
	unsaid   map[*session]struct{} // guarded by mu: the sessions with input that Shutdown waits for
	silent   chan struct{}         // closed, with mu held, when unsaid is empty; only Shutdown receives
}

// New returns Sessions and starts their loop. Shutdown ends both.
func New(o Options) *Sessions {
	ss := &Sessions{
		Options:    o,
		sockets:    loop.New(loop.Options{SlowTimeout: o.Limits.SlowTimeout, Tick: tick(o.Limits)}),
		identities: newIdentities(),
		began:      time.Now(),
		all:        make(map[*session]struct{}),
		silent:     make(chan struct{}),
	}
	limits := wsproto.Limits{MessageBytes: o.Limits.MessageBytes, Fragments: o.Limits.MessageFragments}
	ss.assemblers.New = func() any { return wsproto.NewAssembler(wsproto.RoleServer, limits) }
	return ss
}

// tick returns the interval of the ticks: short enough for the shortest timer, and no shorter.
func tick(l config.Limits) time.Duration {
	shortest := min(l.PingInterval, l.PongTimeout, l.SlowTimeout)
	return min(max(shortest/8, 5*time.Millisecond), 250*time.Millisecond)
}

// Serve makes a session of a connection whose handshake has succeeded. early has the bytes that were read
// after the handshake. The caller has reserved the connection in Options.Connections. If Serve returns false,
// the loop has been shut down, and the caller must close the socket and release the reservation.
func (ss *Sessions) Serve(nc net.Conn, early []byte, r *Request) bool {
	return ss.sockets.Serve(nc, early, func(c loop.Conn) loop.Session { return ss.open(c, r) })
}

// MayMakeRoom tells whether a room exists already, or else whether an address may create it now.
func (ss *Sessions) MayMakeRoom(room string, from limit.Network, now time.Time) (wait time.Duration, ok bool) {
	if room == ss.Rooms.Default || ss.Hub.Has(room) {
		return 0, true
	}
	return ss.Quotas.Rooms.Take(from, now)
}

// clock returns the time since the sessions were made. It is monotonic, and a Duration takes 8 bytes instead
// of the 24 of a time.Time.
func (ss *Sessions) clock(now time.Time) time.Duration { return now.Sub(ss.began) }
