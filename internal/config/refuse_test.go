package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestFileRefused goes through what a file can have wrong. want is the whole error, a line each.
func TestFileRefused(t *testing.T) {
	const (
		address  = `want host:port, such as ":3000", "127.0.0.1:3000" or "[::1]:3000", with a port from 0 (any free one) to 65535`
		burst    = "want a whole number from 0 to 1000000"
		bytes    = "want a size from 1 to 64MiB, a whole number of bytes, or one followed by B, KiB, MiB or GiB"
		interval = "want a duration with its unit (ms, s, m, h) such as 1m30s, 1ms to 24h"
		origin   = `want scheme://host or scheme://host:port, such as "https://chat.example.org"`
		listed   = `want a list such as ["https://chat.example.org"]`
	)
	for _, row := range []struct{ name, yaml, want string }{
		{"C1 unknown", "\nlog:\n  levle: info\n", `c.yaml:3: unknown key "log.levle"; the nearest is log.level`},
		{"C1 unknown at the top", "lsiten: ':1'\n", `c.yaml:1: unknown key "lsiten"; the nearest is listen`},
		{"C1 unknown section", "limit:\n  burst: 1\n", `c.yaml:1: unknown key "limit"; the nearest is limits`},
		{"C1 outside its section", "message_bytes: 1\n", `c.yaml:1: unknown key "message_bytes"; the nearest is limits.message_bytes`},
		{"C1 in the wrong section", "log:\n  burst: 1\n", `c.yaml:2: unknown key "log.burst"; the nearest is limits.burst`},
		{"C1 dotted", "limits.burst: 1\n", `c.yaml:1: unknown key "limits.burst"; write limits: on a line of its own and burst: indented below it`},
		{"C1 case", "Listen: ':1'\n", `c.yaml:1: unknown key "Listen"; the nearest is listen`},
		{"C1 twice", "listen: ':1'\nlisten: ':2'\n", `c.yaml:2: not YAML: mapping key "listen" already defined at [1:1]`},
		{"C2 port above", "listen: ':65536'\n", `c.yaml:1: listen is ":65536": ` + address},
		{"C2 port below", "listen: ':-1'\n", `c.yaml:1: listen is ":-1": ` + address},
		{"C2 port signed", "listen: ':+1'\n", `c.yaml:1: listen is ":+1": ` + address},
		{"C2 port and more", "listen: ':3000abc'\n", `c.yaml:1: listen is ":3000abc": ` + address},
		{"C2 port alone", "listen: 3000\n", `c.yaml:1: listen is "3000": ` + address},
		{"C2 port by name", "listen: ':http'\n", `c.yaml:1: listen is ":http": ` + address},
		{"C2 empty", "listen: ''\n", `c.yaml:1: listen is "": ` + address},
		{"C2 null", "listen: null\n", `c.yaml:1: listen is empty (null); want one word or "quoted text"`},
		{"C2 no value", "log:\n  level:\n", `c.yaml:2: log.level is empty (null); want one word or "quoted text"`},
		{"C2 exponent", "limits: {burst: 3e3}\n", `c.yaml:1: limits.burst is "3e3": ` + burst},
		{"C2 hexadecimal", "limits: {burst: 0x1F}\n", `c.yaml:1: limits.burst is "0x1F": ` + burst},
		{"C2 octal", "limits: {burst: 010}\n", `c.yaml:1: limits.burst is "010": ` + burst},
		{"C2 underscore", "limits: {burst: 1_0}\n", `c.yaml:1: limits.burst is "1_0": ` + burst},
		{"C2 fraction", "limits: {burst: 1.0}\n", `c.yaml:1: limits.burst is "1.0": ` + burst},
		{"C2 quoted", "limits: {burst: \"10\"}\n", `c.yaml:1: limits.burst is the text "10"; want a whole number without quotes`},
		{"C2 truth", "limits: {burst: true}\n", `c.yaml:1: limits.burst is the truth value true; want a whole number without quotes`},
		{"C3 no unit", "limits:\n  ping_interval: 5\n", `c.yaml:2: limits.ping_interval is "5": ` + interval},
		{"C3 no unit, quoted", "limits:\n  ping_interval: \"5\"\n", `c.yaml:2: limits.ping_interval is "5": ` + interval},
		{"C3 negative", "limits:\n  ping_interval: -5s\n", `c.yaml:2: limits.ping_interval is "-5s": ` + interval},
		{"C3 space", "limits:\n  ping_interval: 5 s\n", `c.yaml:2: limits.ping_interval is "5 s": ` + interval},
		{"C3 overflow", "limits:\n  ping_interval: 1e9h\n", `c.yaml:2: limits.ping_interval is "1e9h": ` + interval},
		{"C3 overflow in digits", "limits:\n  ping_interval: 9999999999h\n", `c.yaml:2: limits.ping_interval is "9999999999h": ` + interval},
		{"C3 zero", "limits:\n  ping_interval: 0s\n", `c.yaml:2: limits.ping_interval is "0s": ` + interval},
		{"C3 microseconds", "limits:\n  ping_interval: 5us\n", `c.yaml:2: limits.ping_interval is "5us": ` + interval},
		{"C3 zero without unit", "history: {max_age: 0}\n", `c.yaml:1: history.max_age is "0": want a duration with its unit (ms, s, m, h) such as 1m30s, 0s, or from 1ms to 87600h`},
		{"C4 zero", "limits: {message_bytes: 0}\n", `c.yaml:1: limits.message_bytes is "0": ` + bytes},
		{"C4 negative", "limits: {message_bytes: -1}\n", `c.yaml:1: limits.message_bytes is "-1": ` + bytes},
		{"C4 above int64", "limits: {message_bytes: 9223372036854775808}\n", `c.yaml:1: limits.message_bytes is "9223372036854775808": ` + bytes},
		{"C4 above int64 with unit", "limits: {message_bytes: 18014398509481985KiB}\n", `c.yaml:1: limits.message_bytes is "18014398509481985KiB": ` + bytes},
		{"C4 another unit", "limits: {message_bytes: 64k}\n", `c.yaml:1: limits.message_bytes is "64k": ` + bytes},
		{"C4 unit after a space", "limits: {message_bytes: 64 KiB}\n", `c.yaml:1: limits.message_bytes is "64 KiB": ` + bytes},
		{"C4 unit where none is", "limits: {burst: 1KiB}\n", `c.yaml:1: limits.burst is "1KiB": ` + burst},
		{"C7 tab", "log:\n\tlevel: info\n", "c.yaml:2: indented with a tab; want spaces"},
		{"C7 indent", "log:\n  level: info\n format: json\n", "c.yaml:3: not YAML: value is not allowed in this context"},
		{"C7 list for the file", "- listen\n", "c.yaml:1: the file is a list; want lines of the form key: value"},
		{"C7 text for the file", "listen:3000\n", `c.yaml:1: the file is the text "listen:3000"; want lines of the form key: value`},
		{"C7 list for a section", "log:\n  - level\n", "c.yaml:2: log is a list; want lines of the form key: value"},
		{"C7 text for a section", "log: info\n", `c.yaml:1: log is the text "info"; want lines of the form key: value`},
		{"C7 section for a value", "listen: {port: 1}\n", `c.yaml:1: listen is a section; want one word or "quoted text"`},
		{"C7 list for a value", "listen: [':1']\n", `c.yaml:1: listen is a list; want one word or "quoted text"`},
		{"C7 text for a list", "allowed_origins: https://a\n", `c.yaml:1: allowed_origins is the text "https://a"; ` + listed},
		{"C7 list in a list", "allowed_origins: [[a]]\n", "c.yaml:1: allowed_origins has a list in it; " + listed},
		{"C7 empty in a list", "allowed_origins:\n  -\n", "c.yaml:2: allowed_origins has empty (null) in it; " + listed},
		{"C7 null in a list, where the text is meant", "allowed_origins: [null]\n", "c.yaml:1: allowed_origins has empty (null) in it; " + listed},
		{"C7 open quote", "\nlisten: ':1\n", "c.yaml:2: not YAML: could not find end character of single-quoted text"},
		{"C7 two documents", "listen: ':1'\n---\nlisten: ':2'\n", "c.yaml:3: a second document; want one"},
		{"C7 number for a key", "1: 2\n", "c.yaml:1: the number 1 for a key; want the name of a setting"},
		{"C7 anchor", "listen: &a ':1'\n", `c.yaml:1: listen is an anchor or alias; want one word or "quoted text"`},
		{"C7 merge", "<<: {listen: ':1'}\n", "c.yaml:1: an anchor or alias for a key; want the name of a setting"},
		{"C7 tag", "listen: !!str 1\n", `c.yaml:1: listen is a tagged value; want one word or "quoted text"`},
		{"C7 block", "static_dir: |\n  a\n  b\n", `c.yaml:1: static_dir is text of several lines; want one word or "quoted text"`},
		{"C7 control character", "static_dir: \"a\\nb\"\n", `c.yaml:1: static_dir is "a\nb": want no control characters`},
		{"C8 UTF-16", "\xff\xfel\x00i\x00", "c.yaml:1: UTF-16 or not text; want UTF-8"},
		{"C8 UTF-16 without mark", "l\x00i\x00", "c.yaml:1: UTF-16 or not text; want UTF-8"},
		{"C8 not UTF-8", "listen: ':1'\n# caf\xe9\n", "c.yaml:2: not UTF-8"},
		{"too long", strings.Repeat("#", maxFile+1), "c.yaml: want at most 32768 bytes; this file has more"},
		{"C9 any", "allowed_origins: ['*']\n", `c.yaml:1: allowed_origins is "*": "*" would let every page on the web speak for its visitors; list the origins`},
		{"C9 pattern", "allowed_origins: ['https://*.a']\n", `c.yaml:1: allowed_origins is "https://*.a": patterns are not read; list each origin`},
		{"C9 path", "allowed_origins: ['https://a/b']\n", `c.yaml:1: allowed_origins is "https://a/b": ` + origin + ", without path or user"},
		{"C9 no scheme", "allowed_origins: [chat.example.org]\n", `c.yaml:1: allowed_origins is "chat.example.org": ` + origin},
		{"C9 no network", "trusted_proxies: [10.0.0.0/33]\n", `c.yaml:1: trusted_proxies is "10.0.0.0/33": want a network such as "10.0.0.0/8" or "2001:db8::/32", or one address`},
		{"C9 a name for a network", "trusted_proxies: [proxy]\n", `c.yaml:1: trusted_proxies is "proxy": want a network such as "10.0.0.0/8" or "2001:db8::/32", or one address`},
		{"C7 text for a list of networks", "trusted_proxies: 10.0.0.0/8\n", `c.yaml:1: trusted_proxies is the text "10.0.0.0/8"; want a list such as ["10.0.0.0/8"]`},
		{"C4 negative per address", "limits: {connections_per_ip: -1}\n", `c.yaml:1: limits.connections_per_ip is "-1": want a whole number from 0 to 10000000`},
		{"C4 fraction per address", "limits: {messages_per_second_per_ip: 0.5}\n", `c.yaml:1: limits.messages_per_second_per_ip is "0.5": want a whole number from 0 to 10000000`},
		{"C4 rooms", "limits: {rooms_per_minute_per_ip: 1e3}\n", `c.yaml:1: limits.rooms_per_minute_per_ip is "1e3": ` + burst},
		{"public_url with a path", "public_url: https://a/chat\n", `c.yaml:1: public_url is "https://a/chat": ` + origin + ", without path or user"},
		{"public_url null", "public_url: 'null'\n", `c.yaml:1: public_url is "null": want http:// or https:// and a host, such as "https://chat.example.org"`},
		{"C10 pong and ping", "limits:\n  pong_timeout: 25s\n", "limits.pong_timeout (25s, c.yaml:2) must be shorter than limits.ping_interval (25s, the default)"},
		{"C10 text and message", "limits:\n  message_bytes: 1024\n", "limits.text_bytes (4096, the default) must not be above limits.message_bytes (1024, c.yaml:2)"},
		{"C10 text just above message", "limits: {message_bytes: 4095}\n", "limits.text_bytes (4096, the default) must not be above limits.message_bytes (4095, c.yaml:1)"},
		{"the largest message and one byte more", "limits: {message_bytes: 67108865}\n", `c.yaml:1: limits.message_bytes is "67108865": ` + bytes},
		{"the largest text and one byte more", "limits: {text_bytes: 67108865}\n", `c.yaml:1: limits.text_bytes is "67108865": ` + bytes},
		{"C10 burst and rate", "limits:\n  burst: 0\n", "limits.burst (0, c.yaml:2) must be at least 1 with limits.messages_per_second (10, the default)"},
		{"C10 slow", "limits:\n  slow_timeout: 0s\n", `c.yaml:2: limits.slow_timeout is "0s": ` + interval},
		{"same address", "ops_listen: ':3000'\n", `ops_listen (":3000", c.yaml:1) must not take the port of listen (":3000", the default)`},
		{"same port, one host", "ops_listen: '127.0.0.1:3000'\n", `ops_listen ("127.0.0.1:3000", c.yaml:1) must not take the port of listen (":3000", the default)`},
		{"C13 bad IP", "listen: 999.1.1.1:3000\n", `c.yaml:1: listen is "999.1.1.1:3000": ` + address},
		{"C13 IPv6 without brackets", "listen: ::1:3000\n", `c.yaml:1: listen is "::1:3000": ` + address},
		{"level", "log: {level: verbose}\n", `c.yaml:1: log.level is "verbose": want trace, debug, info, warn, error`},
		{"store", "history: {store: disk}\n", `c.yaml:1: history.store is "disk": want memory, embedded`},
		{"nats", "history: {store: nats}\n", `c.yaml:1: history.store is "nats": a history that several servers share is not there yet; want memory or embedded`},
		{"a password", "public_url: 'x://a:s/cret@b,x://c:secret@d'\n", `c.yaml:1: public_url is "x://***@d": want scheme://host or scheme://host:port, such as "https://chat.example.org", without path or user`},
		{"a password of two lines", "public_url: \"https://a:sec\\nret@b\"\n", `c.yaml:1: public_url is "https://***@b": want no control characters`},
		{"a password elsewhere", "history: {messages: 'nats://a:secret@b'}\n", `c.yaml:1: history.messages is the text "nats://***@b"; want a whole number without quotes`},
		{"a password over two lines", `public_url: "https://a:sec\nret@b"`, `c.yaml:1: public_url is "https://***@b": want no control characters`},
		{"a password for a key", "nats://a:secret@b: 1\n", `c.yaml:1: unknown key "nats://***@b"; the nearest is listen`},
		{"a long text", "rooms: {default: " + strings.Repeat("や", 200) + "}\n", `c.yaml:1: rooms.default is "` + strings.Repeat("や", 100) + `…": want 1 to 64 letters, digits, - and _`},
		{"room that cannot be seen", "rooms: {default: \u3164}\n", "c.yaml:1: rooms.default is \"\u3164\": want 1 to 64 letters, digits, - and _"},
		{"sync", "history: {sync: 1s}\n", `c.yaml:1: history.sync is "1s": history.sync is gone, because a message is on the disk before anybody sees it; want always, or remove the line`},
		{"no folder", "history: {dir: \"\"}\n", `c.yaml:1: history.dir is "": want the name of a folder`},
		{"room", "rooms: {default: 'a b'}\n", `c.yaml:1: rooms.default is "a b": want 1 to 64 letters, digits, - and _`},
		{"room too long", "rooms: {default: " + strings.Repeat("や", 65) + "}\n", `c.yaml:1: rooms.default is "` + strings.Repeat("や", 65) + `": want 1 to 64 letters, digits, - and _`},
		{"folder", "static_dir: ./nowhere\n", `static_dir ("./nowhere", c.yaml:1): want a folder with the page: stat ./nowhere: no such file or directory`},
		{"no folder", "static_dir: key.go\n", `static_dir ("key.go", c.yaml:1): want a folder with the page: not a folder`},
		{"everything at once", "lisetn: 1\nlog: {level: x}\nlimits:\n  burst: y\n", `c.yaml:1: unknown key "lisetn"; the nearest is listen
c.yaml:2: log.level is "x": want trace, debug, info, warn, error
c.yaml:4: limits.burst is "y": ` + burst},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, err := load(t, row.yaml, nil, nil)
			if err == nil {
				t.Fatalf("Load(%q) = %+v, want the error\n%s", row.yaml, l.Config, row.want)
			}
			if err.Error() != row.want {
				t.Errorf("Load(%q) fails with\n%s\nwant\n%s", row.yaml, err, row.want)
			}
		})
	}
}

func TestFileAccepted(t *testing.T) {
	for _, row := range []struct {
		name, yaml string
		change     func(*Config)
	}{
		{"C2 any port", "listen: 'localhost:0'\n", func(c *Config) { c.Listen = "localhost:0" }},
		{"unquoted address", "listen: :3001\n", func(c *Config) { c.Listen = ":3001" }},
		{"IPv6", "listen: '[::1]:3001'\n", func(c *Config) { c.Listen = "[::1]:3001" }},
		{"IPv6 zone", "listen: '[fe80::1%eth0]:3001'\n", func(c *Config) { c.Listen = "[fe80::1%eth0]:3001" }},
		{"two free ports", "listen: ':0'\nops_listen: ':0'\n", func(c *Config) { c.Listen, c.OpsListen = ":0", ":0" }},
		{"C4 sizes", "limits: {message_bytes: 64KiB, text_bytes: \"1KiB\"}\nhistory: {bytes: 1GiB, total_bytes: 7B}\n", func(c *Config) {
			c.Limits.TextBytes, c.History.Bytes, c.History.TotalBytes = 1024, 1<<30, 7
		}},
		{"C3 durations", "limits: {ping_interval: 1m30s, pong_timeout: \"1.5s\"}\n", func(c *Config) {
			c.Limits.PingInterval, c.Limits.PongTimeout = 90*time.Second, 1500*time.Millisecond
		}},
		{"text as long as a message", "limits: {message_bytes: 4KiB}\n", func(c *Config) { c.Limits.MessageBytes = 4096 }},
		{"the largest message", "limits: {message_bytes: 64MiB, text_bytes: 64MiB}\n", func(c *Config) {
			c.Limits.MessageBytes, c.Limits.TextBytes = 64<<20, 64<<20
		}},
		{"the largest message in a store", "limits: {message_bytes: 16MiB}\nhistory: {store: embedded}\n", func(c *Config) {
			c.Limits.MessageBytes, c.History.Store = 16<<20, "embedded"
		}},
		{"no limits", "limits: {message_fragments: 0, messages_per_second: 0, burst: 0}\n", func(c *Config) {
			c.Limits.MessageFragments, c.Limits.MessagesPerSecond, c.Limits.Burst = 0, 0, 0
		}},
		{"C8 BOM and CRLF", "\ufefflog:\r\n  level: debug\r\n  format: json\r\n", func(c *Config) { c.Log = Log{"debug", "json"} }},
		{"section of comments", "log:\n  # level: debug\nrooms:\n  max: 3\n", func(c *Config) { c.Rooms.Max = 3 }},
		{"document marks", "---\nrooms: {max: 3}\n...\n", func(c *Config) { c.Rooms.Max = 3 }},
		{"tab behind a value", "rooms: {max: 3}\t# three\n", func(c *Config) { c.Rooms.Max = 3 }},
		{"room of digits", "rooms: {default: 007}\n", func(c *Config) { c.Rooms.Default = "007" }},
		{"room of half width", "rooms: {default: ﾄﾞﾔｻ}\n", func(c *Config) { c.Rooms.Default = "ドヤサ" }},
		{"room in Hindi", "rooms: {default: हिन्दी}\n", func(c *Config) { c.Rooms.Default = "हिन्दी" }},
		{"room in Japanese", "rooms: {default: どや-さ_2}\n", func(c *Config) { c.Rooms.Default = "どや-さ_2" }},
		{"quoted key", "\"listen\": ':1'\n", func(c *Config) { c.Listen = ":1" }},
		{"origins", "allowed_origins:\n  - HTTPS://Chat.Example.org:443/\n  - https://chat.example.org\n  - 'null'\n", func(c *Config) {
			c.AllowedOrigins = []string{"https://chat.example.org", "null"}
		}},
		{"networks", "trusted_proxies: [10.1.2.3/8, '::1', 2001:DB8::1/32, 10.0.0.0/8]\n", func(c *Config) {
			c.TrustedProxies = []string{"10.0.0.0/8", "::1/128", "2001:db8::/32"}
		}},
		{"public_url", "public_url: https://Chat.example.org/\n", func(c *Config) { c.PublicURL = "https://chat.example.org" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			want := Default()
			row.change(&want)
			l, err := load(t, row.yaml, nil, nil)
			if err != nil {
				t.Fatalf("Load(%q): %v", row.yaml, err)
			}
			if !reflect.DeepEqual(l.Config, want) {
				t.Errorf("Load(%q) =\n%+v, want\n%+v", row.yaml, l.Config, want)
			}
			if len(l.Notices) > 0 {
				t.Errorf("Load(%q) notices %q, want none", row.yaml, l.Notices)
			}
		})
	}
}

// C5: an empty file is the defaults, and the log says so.
func TestEmptyFile(t *testing.T) {
	for _, yaml := range []string{"", "\n", "# nothing\n", "---\n", "\ufeff", "{}\n", "log:\n"} {
		l, err := load(t, yaml, nil, nil)
		if err != nil {
			t.Errorf("Load(%q): %v", yaml, err)
			continue
		}
		if !reflect.DeepEqual(l.Config, Default()) || len(l.Notices) != 1 || !strings.HasSuffix(l.Notices[0], "sets nothing: defaults") {
			t.Errorf("Load(%q) = %+v with notices %q, want the defaults and one notice", yaml, l.Config, l.Notices)
		}
	}
}

// C6: a file named by the user must be a file that can be read; the one by default need not exist.
func TestWhichFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if l, err := Load(Sources{}); err != nil || l.File != "" || len(l.Notices) != 0 {
		t.Errorf("without a file: %+v, %v; want the defaults", l, err)
	}
	if _, err := Load(Sources{File: "gone.yaml"}); err == nil || err.Error() != "gone.yaml: there is no such file" {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Load(Sources{File: "."}); err == nil || !strings.HasPrefix(err.Error(), ".: is a folder, not a file") {
		t.Errorf("folder: %v", err)
	}
	if err := os.WriteFile(DefaultFile, []byte("rooms: {max: 3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Load(Sources{}); err != nil || l.File != DefaultFile || l.Rooms.Max != 3 {
		t.Errorf("with %s: %+v, %v; want it read", DefaultFile, l, err)
	}
	if err := os.Remove(DefaultFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(DefaultFile, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Sources{}); err == nil || !strings.HasPrefix(err.Error(), "config.yaml: is a folder") {
		t.Errorf("folder called %s: %v", DefaultFile, err)
	}
	if os.Getuid() != 0 { // root reads everything
		file := filepath.Join(t.TempDir(), "secret.yaml")
		if err := os.WriteFile(file, nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Sources{File: file}); err == nil || !strings.HasSuffix(err.Error(), "permission denied") {
			t.Errorf("unreadable file: %v", err)
		}
	}
}

// C11, and the warnings of the environment.
func TestEnvironment(t *testing.T) {
	for _, row := range []struct{ entry, want string }{
		{"DOYASA_LIMITS_BURST=x", `DOYASA_LIMITS_BURST: limits.burst is "x": want a whole number from 0 to 1000000`},
		{"DOYASA_LIMITS_BURST= 5", `DOYASA_LIMITS_BURST: limits.burst is " 5": want a whole number from 0 to 1000000`},
		{"DOYASA_ROOMS_DEFAULT=\xff", `DOYASA_ROOMS_DEFAULT: rooms.default is "\xff": want UTF-8`},
		{"DOYASA_ALLOWED_ORIGINS=https://a,,", `DOYASA_ALLOWED_ORIGINS: allowed_origins is "https://a,,": want scheme://host or scheme://host:port, such as "https://chat.example.org"`},
		{"DOYASA_LIMITS_PONG_TIMEOUT=1m", "limits.pong_timeout (1m0s, DOYASA_LIMITS_PONG_TIMEOUT) must be shorter than limits.ping_interval (25s, the default)"},
	} {
		if _, err := load(t, "", []string{row.entry}, nil); err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, want %s", row.entry, err, row.want)
		}
	}
	l, err := load(t, "rooms: {max: 3}\n", []string{
		"DOYASA_LISTN=:1", "DOYASA_BURST=", "doyasa_listen=:2",
		"DOYASA_PORT=tcp://10.0.0.1:3000", "DOYASA_PORT_3000_TCP=tcp://10.0.0.1:3000", "DOYASA_PORT_3000_TCP_ADDR=10.0.0.1",
		"DOYASA_SERVICE_HOST=10.0.0.1", "DOYASA_SERVICE_PORT=3000", "DOYASA_SERVICE_PORT_HTTP=3000", "DOYASA_NAME=/web/doyasa",
		"DOYASA_OPS_SERVICE_HOST=10.0.0.2", "DOYASA_OPS_PORT=tcp://10.0.0.2:3001", "DOYASA_OPS_PORT_3001_TCP_PROTO=tcp",
		"DOYASA_OPS_PORT=3001",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"no setting is called DOYASA_BURST; the nearest is DOYASA_LIMITS_BURST",
		"no setting is called DOYASA_LISTN; the nearest is DOYASA_LISTEN",
		"no setting is called DOYASA_OPS_PORT; the nearest is DOYASA_OPS_LISTEN",
	}
	if !reflect.DeepEqual(l.Notices, want) || l.Listen != ":3000" {
		t.Errorf("notices\n%s\nwant\n%s", strings.Join(l.Notices, "\n"), strings.Join(want, "\n"))
	}
}

func TestFlagRefused(t *testing.T) {
	_, err := load(t, "", nil, map[string]string{"limits.burst": "-1"})
	if want := `--limits-burst: limits.burst is "-1": want a whole number from 0 to 1000000`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestParseOrigin(t *testing.T) {
	for in, want := range map[string]string{
		"https://a":                           "https://a",
		"HTTPS://A.Example:443/":              "https://a.example",
		"http://a:80":                         "http://a",
		"http://a:443":                        "http://a:443",
		"https://a:0443":                      "https://a",
		"https://a:03000":                     "https://a:3000",
		"http://127.0.0.1:3000":               "http://127.0.0.1:3000",
		"http://[0:0::1]:3000":                "http://[::1]:3000",
		"http://[::1]":                        "http://[::1]",
		"http://[::FFFF:192.0.2.1]":           "http://[::ffff:192.0.2.1]",
		"capacitor://localhost":               "capacitor://localhost",
		"chrome-extension://abcdef":           "chrome-extension://abcdef",
		"https://xn--r8jz45g.example":         "https://xn--r8jz45g.example",
		"http://my_host.example.":             "http://my_host.example.",
		"null":                                "null",
		"NULL":                                "",
		"":                                    "",
		"/":                                   "",
		"https://":                            "",
		"https:///":                           "",
		"https://a//":                         "",
		"https:/a":                            "",
		"https:a":                             "",
		"://a":                                "",
		"a:443":                               "",
		"https://a:":                          "",
		"https://a:0":                         "",
		"https://a:65536":                     "",
		"https://a:4_3":                       "",
		"https://u@a":                         "",
		"https://u:p@a":                       "",
		"https://a?b":                         "",
		"https://a#b":                         "",
		"https://a b":                         "",
		"https://-a":                          "",
		"https://300.1.1.1":                   "",
		"https://::1":                         "",
		"https://[::1":                        "",
		"https://[::1]x":                      "",
		"https://[127.0.0.1]":                 "",
		"https://[fe80::1%eth0]":              "",
		"https://例え.example":                  "",
		"wss://a":                             "",
		"1http://a":                           "",
		"https://a, https://b":                "",
		"https://a\\b":                        "",
		"https://" + strings.Repeat("a", 254): "",
	} {
		got, err := ParseOrigin(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseOrigin(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := ParseOrigin(got); err == nil && again != got {
			t.Errorf("ParseOrigin(%q) = %q, but that parses to %q", in, got, again)
		}
	}
}

func TestOrigins(t *testing.T) {
	c := Config{AllowedOrigins: []string{"null"}, PublicURL: "https://a"}
	if got, want := c.Origins(), []string{"null", "https://a"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Origins() = %q, want %q", got, want)
	}
	if got := (Config{}).Origins(); len(got) != 0 {
		t.Errorf("Origins() = %q, want none", got)
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"prot", "port", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"a", "a", 0}} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("distance(%q, %q) = %d, want %d", row.a, row.b, got, row.want)
		}
	}
}
