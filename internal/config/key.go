package config

import (
	"math"
	"strings"
	"time"
)

// Key is one setting. The table below is the only list of settings: the file, the environment, the flags, the checks of single values
// and `config print` all use it, in its order.
type Key struct {
	Path  string // as in the file, sections joined by a dot: "limits.message_bytes"
	Help  string // one line, which is also the comment in the shipped config.yaml
	value func(*Config) value
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	day = 24 * time.Hour
)

const (
	// maxMessage is the largest message that all forms of the wire and all journals can carry. In JSON each of its bytes may
	// take six, and sessions count the bytes of a frame in 32 bits.
	maxMessage = 64 * mib
	// maxHistory bounds the memory of a history. On a 32-bit machine the bound is the largest int.
	maxHistory = min(1024*gib, math.MaxInt)
)

var keys = []Key{
	{"listen", `page, WebSocket and API; port 0 is any free port`,
		func(c *Config) value { return text{&c.Listen, parseAddress} }},
	{"ops_listen", `e.g. "127.0.0.1:3001": health and metrics there only`,
		func(c *Config) value { return text{&c.OpsListen, optional(parseAddress)} }},
	{"public_url", `e.g. "https://chat.example.org": joins the allowed origins`,
		func(c *Config) value { return text{&c.PublicURL, optional(parsePublicURL)} }},
	{"allowed_origins", `other pages that may connect; "null" may be listed, "*" is refused`,
		func(c *Config) value { return list{&c.AllowedOrigins, ParseOrigin, "https://chat.example.org"} }},
	{"trusted_proxies", `CIDRs whose X-Forwarded-For is believed, e.g. ["10.0.0.0/8"]`,
		func(c *Config) value { return list{&c.TrustedProxies, parseNetwork, "10.0.0.0/8"} }},
	{"static_dir", `serve this folder instead of the built-in page`,
		func(c *Config) value { return text{&c.StaticDir, optional(parseFolder)} }},

	{"log.level", `trace, debug, info, warn or error; trace prints frame headers, never payload`,
		func(c *Config) value { return text{&c.Log.Level, oneOf("trace", "debug", "info", "warn", "error")} }},
	{"log.format", `auto (console on a terminal, else json), console or json`,
		func(c *Config) value { return text{&c.Log.Format, oneOf("auto", "console", "json")} }},

	{"rooms.default", `the room of a request that names none`,
		func(c *Config) value { return text{&c.Rooms.Default, parseRoom} }},
	{"rooms.max", `at most; then the room that has been empty longest retires (never the default)`,
		func(c *Config) value { return integer(&c.Rooms.Max, 1, 1_000_000) }},

	{"limits.connections", `at once; 0: the descriptor limit less 64`,
		func(c *Config) value { return integer(&c.Limits.Connections, 0, 10_000_000) }},
	{"limits.connections_per_ip", `0: no limit; IPv6 counts by /64`,
		func(c *Config) value { return integer(&c.Limits.ConnectionsPerIP, 0, 10_000_000) }},
	{"limits.rooms_per_minute_per_ip", `rooms that one address creates; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.RoomsPerMinutePerIP, 0, 1_000_000) }},
	{"limits.message_bytes", `one WebSocket message; up to 64MiB`,
		func(c *Config) value { return size(&c.Limits.MessageBytes, 1, maxMessage) }},
	{"limits.message_fragments", `fragments of one message; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessageFragments, 0, 1_000_000_000) }},
	{"limits.text_bytes", `the text of one doyasa.v1 message`,
		func(c *Config) value { return size(&c.Limits.TextBytes, 1, maxMessage) }},
	{"limits.messages_per_second", `per connection, token bucket; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessagesPerSecond, 0, 1_000_000) }},
	{"limits.burst", `messages at once before the rate counts`,
		func(c *Config) value { return integer(&c.Limits.Burst, 0, 1_000_000) }},
	{"limits.messages_per_second_per_ip", `all connections from one address together; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessagesPerSecondPerIP, 0, 10_000_000) }},
	{"limits.handshake_timeout", `from accepting a connection to its whole request`,
		func(c *Config) value { return duration{&c.Limits.HandshakeTimeout, false, time.Hour} }},
	{"limits.idle_timeout", `between two HTTP requests on one connection; above that of a load balancer, often 60s`,
		func(c *Config) value { return duration{&c.Limits.IdleTimeout, false, time.Hour} }},
	{"limits.ping_interval", `between pings on one connection`,
		func(c *Config) value { return duration{&c.Limits.PingInterval, false, day} }},
	{"limits.pong_timeout", `an unanswered ping ends the connection; shorter than ping_interval`,
		func(c *Config) value { return duration{&c.Limits.PongTimeout, false, day} }},
	{"limits.slow_timeout", `a connection to which no byte can be written for this long is closed`,
		func(c *Config) value { return duration{&c.Limits.SlowTimeout, false, day} }},
	{"limits.drain_timeout", `from SIGTERM to the end of the process`,
		func(c *Config) value { return duration{&c.Limits.DrainTimeout, false, time.Hour} }},

	{"history.store", `memory, or embedded (survives a restart)`,
		func(c *Config) value { return text{&c.History.Store, parseStore} }},
	{"history.messages", `kept per room, whichever limit comes first`,
		func(c *Config) value { return integer(&c.History.Messages, 1, 100_000_000) }},
	{"history.bytes", `per room`,
		func(c *Config) value { return size(&c.History.Bytes, 1, maxHistory) }},
	{"history.total_bytes", `all rooms together`,
		func(c *Config) value { return size(&c.History.TotalBytes, 1, maxHistory) }},
	{"history.max_age", `0s: no limit`,
		func(c *Config) value { return duration{&c.History.MaxAge, true, 3650 * day} }},
	{"history.join", `shown to a newcomer`,
		func(c *Config) value { return integer(&c.History.Join, 0, 100_000) }},
	{"history.dir", `store embedded: its folder`,
		func(c *Config) value { return text{&c.History.Dir, parsePath} }},

	{"tls.cert", `certificate chain in PEM, read again when it changes; "": no TLS`,
		func(c *Config) value { return text{&c.TLS.Cert, optional(parsePath)} }},
	{"tls.key", `its private key in PEM, not encrypted`,
		func(c *Config) value { return text{&c.TLS.Key, optional(parsePath)} }},
}

// syncKey is a setting that was removed. It is still accepted with the one value that changes nothing.
var syncKey = Key{"history.sync", "gone", func(*Config) value { return text{new(string), parseSync} }}

// Keys returns all settings in the order of the file. The slice belongs to the caller.
func Keys() []Key { return append([]Key(nil), keys...) }

// Flag returns the key's flag without the leading dashes: "limits-message-bytes".
func (k Key) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.Path) }

// Env returns the key's environment variable: "DOYASA_LIMITS_MESSAGE_BYTES".
func (k Key) Env() string { return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")) }

// Kind returns the kind of the key's value in one word: text, list, integer, size or duration.
func (k Key) Kind() string { return k.value(new(Config)).kind() }

// Default returns the default as text that Check accepts.
func (k Key) Default() string {
	c := Default()
	return k.value(&c).text()
}

// Check returns an error if text is not a value for the key. A list is written with commas.
func (k Key) Check(text string) error { return k.set(new(Config), text) }

// set parses text into the key's field of c. The field keeps its value when there is an error.
func (k Key) set(c *Config, text string) error {
	if err := printable(text); err != nil {
		return err
	}
	return k.value(c).set(text)
}

// section returns the part of the path before the dot, "" for a key at the top level, and the rest.
func (k Key) section() (section, name string) {
	if section, name, ok := strings.Cut(k.Path, "."); ok {
		return section, name
	}
	return "", k.Path
}

// findKey returns the key with a path.
func findKey(path string) (Key, bool) {
	for _, k := range keys {
		if k.Path == path {
			return k, true
		}
	}
	return Key{}, false
}

// paths returns the paths of all keys.
func paths() []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Path
	}
	return all
}

// isSection reports whether a name at the top level of the file is a section of keys.
func isSection(name string) bool {
	for _, k := range keys {
		if s, _ := k.section(); s == name && s != "" {
			return true
		}
	}
	return false
}
