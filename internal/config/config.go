// Package config is doyasa's configuration: one typed value, read from defaults, a YAML file, the environment and flags, and
// validated once, here. It must not know what the settings are used for: it opens no socket, starts nothing, and logs nothing;
// what is worth a log line is handed back as a notice.
package config

import "time"

// Config is the whole configuration of one server. Get one from Default or Load: both have passed every check, so whoever is
// given one need not check it again. It is a plain value; copies share AllowedOrigins and TrustedProxies, which nobody changes.
type Config struct {
	// Listen is the TCP address of the page, the WebSocket endpoint and the API, as host:port. An empty host is every
	// address of the machine; port 0 is any free port.
	Listen string
	// OpsListen is the address of health and metrics, and of nothing else, or "" for both on Listen.
	OpsListen string
	// PublicURL is the address people open when a proxy stands in front, normalised as ParseOrigin does, or "".
	// It is allowed as if it stood in AllowedOrigins; see Origins.
	PublicURL string
	// AllowedOrigins are the origins besides the same origin whose pages may connect, normalised as ParseOrigin returns them
	// (RFC 6454 section 6.2), or "null".
	AllowedOrigins []string
	// TrustedProxies are networks, as netip.ParsePrefix reads them and masked, whose X-Forwarded-For is believed.
	TrustedProxies []string
	// StaticDir is the folder served in place of the built-in page, or "".
	StaticDir string

	Log     Log
	Rooms   Rooms
	Limits  Limits
	History History
	TLS     TLS
}

// TLS names the files of a certificate; both are set, or neither.
type TLS struct {
	Cert string // the chain in PEM, the server's own certificate first; "": no TLS
	Key  string // its private key in PEM, not encrypted
}

// Log says what is logged and how.
type Log struct {
	Level  string // trace, debug, info, warn or error
	Format string // auto (console on a terminal, else json), console or json
}

// Rooms says which rooms there are.
type Rooms struct {
	Default string // the room of a request that names none
	Max     int    // how many exist at once, at least 1
}

// Limits bound what one peer, and all peers together, can make the server do.
type Limits struct {
	Connections            int           // at once; 0: the descriptor limit less 64
	ConnectionsPerIP       int           // at once from one address, of IPv6 one /64; 0: no limit
	RoomsPerMinutePerIP    int           // made, not entered; 0: no limit
	MessageBytes           int64         // one WebSocket message (RFC 6455 section 5.4), all its fragments together
	MessageFragments       int           // fragments of one message; 0: no limit
	TextBytes              int           // the text of one doyasa.v1 message, in UTF-8 bytes
	MessagesPerSecond      int           // per connection, refilling a bucket of Burst; 0: no limit
	Burst                  int           // messages at once before MessagesPerSecond counts
	MessagesPerSecondPerIP int           // over all connections from one address; 0: no limit
	HandshakeTimeout       time.Duration // from accept to the end of the request's header
	PingInterval           time.Duration // between pings on one connection
	PongTimeout            time.Duration // from a ping to its pong, shorter than PingInterval
	SlowTimeout            time.Duration // a connection to which no byte can be written for this long is closed
	DrainTimeout           time.Duration // from SIGTERM to the end of the process
}

// History says how many messages are kept for newcomers and those who come back.
type History struct {
	Store      string        // memory, embedded or nats
	Messages   int           // kept per room
	Bytes      int64         // kept per room
	TotalBytes int64         // kept in all rooms together
	MaxAge     time.Duration // 0: no limit
	Join       int           // shown to a newcomer, at most Messages
	Dir        string        // the folder of the embedded store
	NATSURL    string        // of the NATS server or cluster of the shared store, or ""
	Sync       time.Duration // of the embedded store: on disk that long after it was acknowledged; 0: before
}

// Default is the configuration of a server that was told nothing.
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
