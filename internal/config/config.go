// Package config is doyasa's configuration: one typed value, read from defaults, a YAML file, the environment and flags, and validated
// once, here. It must not know what the settings are used for: it opens no socket, starts nothing, and logs nothing. It returns notices
// for its caller to log.
package config

import "time"

// Config is the whole configuration of one server. Default and Load return one that has passed every check, so its users need not check
// it again. It is a plain value. Copies share AllowedOrigins and TrustedProxies, which are never changed.
type Config struct {
	// Listen is the TCP address of the page, the WebSocket endpoint and the API, as host:port. An empty host means every address of the
	// machine, port 0 any free port.
	Listen string
	// OpsListen is the address that serves only health and metrics. If it is "", they are on Listen.
	OpsListen string
	// PublicURL is the address that people open when the server is behind a proxy, in the form that ParseOrigin returns, or "". It is an
	// allowed origin, like those in AllowedOrigins; see Origins.
	PublicURL string
	// AllowedOrigins are the origins whose pages may connect in addition to pages of the same origin. Each has the form that ParseOrigin
	// returns (RFC 6454 section 6.2), or is "null".
	AllowedOrigins []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed. netip.ParsePrefix can read them, and their host bits are zero.
	TrustedProxies []string
	// StaticDir is the folder served in place of the built-in page, or "".
	StaticDir string

	Log     Log
	Rooms   Rooms
	Limits  Limits
	History History
	TLS     TLS
}

// TLS names the files of a certificate. Both are set, or neither is.
type TLS struct {
	Cert string // the file of the chain in PEM, with the server's own certificate first; "": no TLS
	Key  string // the file of the certificate's private key in PEM, not encrypted
}

// Log configures the log.
type Log struct {
	Level  string // trace, debug, info, warn or error
	Format string // auto (console on a terminal, else json), console or json
}

// Rooms configures which rooms exist.
type Rooms struct {
	Default string // the room of a request that names none
	Max     int    // how many exist at once, at least 1
}

// Limits bound the resources that one client, and all clients together, can use.
type Limits struct {
	Connections            int           // connections at once; 0: the descriptor limit minus 64
	ConnectionsPerIP       int           // connections at once from one address, where an IPv6 /64 is one address; 0: no limit
	RoomsPerMinutePerIP    int           // new rooms that one address may create; entering a room is not limited; 0: no limit
	MessageBytes           int64         // one WebSocket message (RFC 6455 section 5.4), all its fragments together
	MessageFragments       int           // fragments of one message; 0: no limit
	TextBytes              int           // the text of one doyasa.v1 message, in UTF-8 bytes
	MessagesPerSecond      int           // per connection, refilling a bucket of Burst; 0: no limit
	Burst                  int           // messages that a connection may send at once before MessagesPerSecond limits it
	MessagesPerSecondPerIP int           // over all connections from one address; 0: no limit
	HandshakeTimeout       time.Duration // from accept to the end of the request's header
	IdleTimeout            time.Duration // the longest time between two HTTP requests on one connection
	PingInterval           time.Duration // between pings on one connection
	PongTimeout            time.Duration // from a ping to its pong, shorter than PingInterval
	SlowTimeout            time.Duration // a connection to which no byte can be written for this long is closed
	DrainTimeout           time.Duration // from SIGTERM to the end of the process
}

// History configures where messages are kept for newcomers and for clients that come back, and how many.
type History struct {
	Store      string        // memory or embedded
	Messages   int           // kept per room
	Bytes      int64         // kept per room
	TotalBytes int64         // kept in all rooms together
	MaxAge     time.Duration // 0: no limit
	Join       int           // shown to a newcomer, at most Messages
	Dir        string        // the folder of the embedded store
}

// Default returns the configuration of a server without any settings.
func Default() Config {
	return Config{
		Listen: ":3000",
		Log:    Log{Level: "info", Format: "auto"},
		Rooms:  Rooms{Default: "doyasa", Max: 1000},
		Limits: Limits{
			RoomsPerMinutePerIP: 10,
			MessageBytes:        65536,
			MessageFragments:    1024,
			TextBytes:           4096,
			MessagesPerSecond:   10,
			Burst:               20,
			HandshakeTimeout:    5 * time.Second,
			IdleTimeout:         75 * time.Second,
			PingInterval:        25 * time.Second,
			PongTimeout:         8 * time.Second,
			SlowTimeout:         5 * time.Second,
			DrainTimeout:        10 * time.Second,
		},
		History: History{
			Store:      "memory",
			Messages:   1000,
			Bytes:      8 << 20,
			TotalBytes: 256 << 20,
			Join:       50,
			Dir:        "data",
		},
	}
}
