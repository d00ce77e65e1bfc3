package config

import (
	"strings"
	"time"
)

// Key is one setting. The table below is the only list of settings there is: the file, the environment, the flags, the checks of
// single values and `config print` all follow it, in its order.
type Key struct {
	Path  string // as in the file, sections joined by a dot: "limits.message_bytes"
	Help  string // one line, also the comment in the shipped config.yaml
	value func(*Config) value
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	day = 24 * time.Hour
)

var keys = []Key{
	{"listen", `page, WebSocket and API; port 0 is any free port`,
		func(c *Config) value { return text{&c.Listen, parseAddress} }},
	{"ops_listen", `e.g. "127.0.0.1:3001": health and metrics there only`,
		func(c *Config) value { return text{&c.OpsListen, optional(parseAddress)} }},
	{"public_url", `e.g. "https://chat.example.org": joins the allowed origins`,
		func(c *Config) value { return text{&c.PublicURL, optional(parsePublicURL)} }},
	{"allowed_origins", `besides the same origin; "null" may be listed, "*" is refused`,
		func(c *Config) value { return list{&c.AllowedOrigins, ParseOrigin, "https://chat.example.org"} }},
	{"trusted_proxies", `CIDRs whose X-Forwarded-For is believed, e.g. ["10.0.0.0/8"]`,
		func(c *Config) value { return list{&c.TrustedProxies, parseNetwork, "10.0.0.0/8"} }},
	{"static_dir", `serve this folder instead of the built-in page`,
		func(c *Config) value { return text{&c.StaticDir, optional(parseFolder)} }},

	{"log.level", `trace, debug, info, warn or error; trace prints frame headers, never payload`,
		func(c *Config) value { return text{&c.Log.Level, oneOf("trace", "debug", "info", "warn", "error")} }},
	{"log.format", `auto (console on a terminal, else json), console or json`,
		func(c *Config) value { return text{&c.Log.Format, oneOf("auto", "console", "json")} }},

	{"rooms.default", `the room of whoever names none`,
		func(c *Config) value { return text{&c.Rooms.Default, parseRoom} }},
	{"rooms.max", `at max, the longest-empty room retires (never the default)`,
		func(c *Config) value { return integer(&c.Rooms.Max, 1, 1_000_000) }},

	{"limits.connections", `at once; 0: the descriptor limit less 64`,
		func(c *Config) value { return integer(&c.Limits.Connections, 0, 10_000_000) }},
	{"limits.connections_per_ip", `0: no limit; IPv6 counts by /64`,
		func(c *Config) value { return integer(&c.Limits.ConnectionsPerIP, 0, 10_000_000) }},
	{"limits.rooms_per_minute_per_ip", `new rooms; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.RoomsPerMinutePerIP, 0, 1_000_000) }},
	{"limits.message_bytes", `one WebSocket message`,
		func(c *Config) value { return size(&c.Limits.MessageBytes, 1, gib) }},
	{"limits.message_fragments", `of one message; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessageFragments, 0, 1_000_000_000) }},
	{"limits.text_bytes", `doyasa.v1 text`,
		func(c *Config) value { return size(&c.Limits.TextBytes, 1, gib) }},
	{"limits.messages_per_second", `per connection, token bucket; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessagesPerSecond, 0, 1_000_000) }},
	{"limits.burst", `messages at once before the rate counts`,
		func(c *Config) value { return integer(&c.Limits.Burst, 0, 1_000_000) }},
	{"limits.messages_per_second_per_ip", `all connections from one address together; 0: no limit`,
		func(c *Config) value { return integer(&c.Limits.MessagesPerSecondPerIP, 0, 10_000_000) }},
	{"limits.handshake_timeout", `until the request is complete`,
		func(c *Config) value { return duration{&c.Limits.HandshakeTimeout, false, time.Hour} }},
	{"limits.ping_interval", `between pings on one connection`,
		func(c *Config) value { return duration{&c.Limits.PingInterval, false, day} }},
	{"limits.pong_timeout", `an unanswered ping ends the connection; shorter than ping_interval`,
		func(c *Config) value { return duration{&c.Limits.PongTimeout, false, day} }},
	{"limits.slow_timeout", `a connection to which no byte can be written for this long is closed`,
		func(c *Config) value { return duration{&c.Limits.SlowTimeout, false, day} }},
	{"limits.drain_timeout", `from SIGTERM to the end`,
		func(c *Config) value { return duration{&c.Limits.DrainTimeout, false, time.Hour} }},

	{"history.store", `memory, embedded (survives a restart) or nats (shared by several servers)`,
		func(c *Config) value { return text{&c.History.Store, oneOf("memory", "embedded", "nats")} }},
	{"history.messages", `kept per room, whichever limit comes first`,
		func(c *Config) value { return integer(&c.History.Messages, 1, 100_000_000) }},
	{"history.bytes", `per room`,
		func(c *Config) value { return size(&c.History.Bytes, 1, 1024*gib) }},
	{"history.total_bytes", `all rooms together`,
		func(c *Config) value { return size(&c.History.TotalBytes, 1, 1024*gib) }},
	{"history.max_age", `0s: no limit`,
		func(c *Config) value { return duration{&c.History.MaxAge, true, 3650 * day} }},
	{"history.join", `shown to a newcomer`,
		func(c *Config) value { return integer(&c.History.Join, 0, 100_000) }},
	{"history.dir", `store embedded: its folder`,
		func(c *Config) value { return text{&c.History.Dir, parsePath} }},
	{"history.sync", `store embedded: always, or an interval such as 1s: faster, see docs/durability.md`,
		func(c *Config) value { return interval{&c.History.Sync} }},
	{"history.nats_url", `store nats: e.g. "nats://nats:4222"; with JetStream`,
		func(c *Config) value { return text{&c.History.NATSURL, optional(parseNATSURL)} }},

	{"tls.cert", `certificate chain in PEM, read again when it changes; "": no TLS`,
		func(c *Config) value { return text{&c.TLS.Cert, optional(parsePath)} }},
	{"tls.key", `its private key in PEM, not encrypted`,
		func(c *Config) value { return text{&c.TLS.Key, optional(parsePath)} }},
}

// Keys returns every setting in the order of the file. The slice is the caller's.
func Keys() []Key { return append([]Key(nil), keys...) }

// Flag is the key's flag without its dashes: "limits-message-bytes".
func (k Key) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.Path) }

// Env is the key's environment variable: "DOYASA_LIMITS_MESSAGE_BYTES".
func (k Key) Env() string { return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_")) }

// Kind is one word for what the key holds: text, list, integer, size or duration.
func (k Key) Kind() string { return k.value(new(Config)).kind() }

// Default is the default as text that Check accepts.
func (k Key) Default() string {
	c := Default()
	return k.value(&c).text()
}

// Check says why text is no value for the key, or returns nil. A list is written with commas.
func (k Key) Check(text string) error { return k.set(new(Config), text) }

// set parses text into the key's field of c. The field keeps its value when there is an error.
func (k Key) set(c *Config, text string) error {
	if err := printable(text); err != nil {
		return err
	}
	return k.value(c).set(text)
}

// section is the part of the path before the dot, "" for a key at the top; name is the rest.
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

// paths are the paths of all keys.
func paths() []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Path
	}
	return all
}

// isSection reports whether a name at the top of the file holds keys.
func isSection(name string) bool {
	for _, k := range keys {
		if s, _ := k.section(); s == name && s != "" {
			return true
		}
	}
	return false
}
