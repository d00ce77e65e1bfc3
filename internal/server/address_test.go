package server

import (
	"io"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
)

// Only trusted proxies are believed about the address from which a request comes.
func TestRequester(t *testing.T) {
	proxies := []string{"10.0.0.0/8", "2001:db8:1::/48", "fe80::/10"}
	for _, tt := range []struct {
		name      string
		trusted   []string
		peer      string
		forwarded []string // one X-Forwarded-For field each
		want      string
		warned    bool
	}{
		{"nobody is trusted", nil, "192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1", false},
		{"a proxy of ours that nobody trusts", nil, "10.0.0.1:5", []string{"203.0.113.9"}, "10.0.0.1", true},
		{"loopback that nobody trusts", nil, "[::1]:5", []string{"203.0.113.9"}, "::1", true},
		{"no proxy", proxies, "192.0.2.1:5", nil, "192.0.2.1", false},
		{"a stranger's word", proxies, "192.0.2.1:5", []string{"203.0.113.9"}, "192.0.2.1", false},
		{"the proxy's word", proxies, "10.0.0.1:5", []string{"203.0.113.9"}, "203.0.113.9", false},
		{"forged in front of the proxy's word", proxies, "10.0.0.1:5", []string{"198.51.100.7, 203.0.113.9"}, "203.0.113.9", false},
		{"forged as one of the proxies", proxies, "10.0.0.1:5", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9", false},
		{"forged in a field of its own", proxies, "10.0.0.1:5", []string{"198.51.100.7", "203.0.113.9"}, "203.0.113.9", false},
		{"two proxies", proxies, "10.0.0.1:5", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9", false},
		{"two proxies and a forgery", proxies, "10.0.0.1:5", []string{"198.51.100.7, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", false},
		{"all of it proxies", proxies, "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", false},
		{"a proxy that says nothing", proxies, "10.0.0.1:5", nil, "10.0.0.1", false},
		{"nonsense", proxies, "10.0.0.1:5", []string{"unknown"}, "10.0.0.1", false},
		{"nonsense further left", proxies, "10.0.0.1:5", []string{"203.0.113.9, _hidden, 10.0.0.2"}, "10.0.0.2", false},
		{"empty", proxies, "10.0.0.1:5", []string{""}, "10.0.0.1", false},
		{"with a port", proxies, "10.0.0.1:5", []string{"203.0.113.9:4711"}, "203.0.113.9", false},
		{"IPv6", proxies, "[2001:db8:1::1]:5", []string{"2001:db8:9::9"}, "2001:db8:9::9", false},
		{"IPv6 with brackets and port", proxies, "[2001:db8:1::1]:5", []string{"[2001:db8:9::9]:80"}, "2001:db8:9::9", false},
		{"IPv6 in brackets", proxies, "[2001:db8:1::1]:5", []string{"[2001:db8:9::9]"}, "2001:db8:9::9", false},
		{"IPv6 with a zone", proxies, "[fe80::1%eth0]:5", []string{"2001:db8:9::9"}, "2001:db8:9::9", false},
		{"IPv4 within IPv6", proxies, "[::ffff:10.0.0.1]:5", []string{"::ffff:203.0.113.9"}, "203.0.113.9", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			s := &Server{log: limit.NewLog(zerolog.New(&log)), cfg: config.Default()}
			for _, p := range tt.trusted {
				s.proxies = append(s.proxies, netip.MustParsePrefix(p))
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			for range 2 {
				if got := s.peerOf(r); got.Addr.String() != tt.want || got.Network() != limit.NetworkOf(netip.MustParseAddr(tt.want)) {
					t.Errorf("%s says %q: it comes from %s (%s), want %s", tt.peer, tt.forwarded, got.Addr, got.Network(), tt.want)
				}
			}
			if n := strings.Count(log.String(), "trusted_proxies"); (n > 0) != tt.warned || strings.Count(log.String(), "\n") > 1 {
				t.Errorf("warned %v, want %v, and once:\n%s", n > 0, tt.warned, &log)
			}
		})
	}
}

// H36: the limit counts each address that the proxy reports on its own.
func TestConnectionsPerAddress(t *testing.T) {
	e := newEdge(t, func(c *config.Config) {
		c.Limits.ConnectionsPerIP, c.TrustedProxies = 2, []string{"127.0.0.0/8"}
	})
	for range 2 {
		nc, _ := e.upgrade(with(t, "X-Forwarded-For: 203.0.113.9"))
		defer nc.Close()
	}
	r, _, body := e.exchange(with(t, "X-Forwarded-For: 203.0.113.9"))
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "10" || !strings.Contains(body, "too many connections from one address") {
		t.Errorf("the third: %d, Retry-After %q, %q, want 429 after 10", r.StatusCode, r.Header.Get("Retry-After"), body)
	}
	for _, field := range []string{"X-Forwarded-For: 203.0.113.10", "X-Forwarded-For: 203.0.113.9, 203.0.113.10"} {
		nc, _ := e.upgrade(with(t, field))
		defer nc.Close()
	}
	for _, want := range []string{`"remote":"203.0.113.9"`, `"status":429`, `"setting":"limits.connections_per_ip"`, `"seen":2`, `"allowed":2`} {
		if !strings.Contains(e.log.String(), want) {
			t.Errorf("no %s in\n%s", want, e.log)
		}
	}
	e.eventually("doyasa_connections", 4)
	e.shutdown()
	if open, addresses := e.s.connections.Open(); open != 0 || addresses != 0 {
		t.Errorf("%d connections of %d addresses are still counted", open, addresses)
	}
}

// M24: resumes and pages have a rate of their own, besides the rate of messages. A client a little over it waits;
// a client far over it is told to come back later.
func TestHistoryRate(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.Burst, c.Limits.MessagesPerSecond = 1, 1 })
	e.s.quotas.History = limit.NewQuota(limit.Rate{PerSecond: 20, Burst: 10})
	const path = "/api/rooms/doyasa/messages"
	limited := 0
	for range 40 {
		r, _, body := e.exchange(get(path))
		switch {
		case r.StatusCode == 429 && r.Header.Get("Retry-After") == "1" && strings.Contains(body, "rate_limited"):
			limited++
		case r.StatusCode != 200:
			t.Fatalf("%d %s", r.StatusCode, body)
		}
	}
	if limited == 0 {
		t.Error("40 pages at once were all read, want no more than 10 and 20 a second")
	}
	if v := e.scrape()[`doyasa_throttled_total{limit="history"}`]; v != float64(limited) {
		t.Errorf("doyasa_throttled_total = %v, want %d", v, limited)
	}
	v1 := strings.Replace(handshake, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: doyasa.v1\r\n\r\n", 1)
	nc, b := e.upgrade(v1)
	defer nc.Close()
	if line, err := b.Peek(20); err != nil || !strings.Contains(string(line), `"type":"hel`) {
		t.Errorf("a member a little over the rate: %q, %v, want hello after a moment", line, err)
	}
	for range 1000 { // so many that a member would have to wait for too long
		e.s.quotas.History.Reserve(limit.NetworkOf(netip.MustParseAddr("127.0.0.1")), time.Now(), time.Hour)
	}
	nc, b = e.upgrade(v1)
	defer nc.Close()
	if got, err := io.ReadAll(b); err != nil || string(got) != "\x88\x0e\x03\xf5rate_limited" {
		t.Errorf("a member far over the rate: %q, %v, want Close 1013 rate_limited", got, err)
	}
	// A member that asks for no history takes no token.
	nc, b = e.upgrade(strings.Replace(v1, "/websocket", "/websocket?history=0", 1))
	defer nc.Close()
	if line, err := b.Peek(20); err != nil || !strings.Contains(string(line), `"type":"hel`) {
		t.Errorf("a member that wants no history: %q, %v, want hello", line, err)
	}
}

// A room whose history the journal kept over a restart is not a new room.
func TestRoomsPerMinuteOverARestart(t *testing.T) {
	journal := hub.NewMemory(hub.MemoryOptions{})
	cfg := config.Default()
	cfg.Limits.RoomsPerMinutePerIP = 1
	post := func(s *Server, room string) int {
		r := httptest.NewRequest("POST", "/api/rooms/"+room+"/messages", strings.NewReader("hi"))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}
	open := func() *Server {
		s, err := New(Options{Config: cfg, Log: zerolog.Nop(), Page: fstest.MapFS{}, Journal: journal})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open()
	if got := []int{post(first, "kept"), post(first, "new")}; got[0] != 200 || got[1] != 429 {
		t.Errorf("two new rooms: %v, want 200 and 429", got)
	}
	first.Shutdown(t.Context())
	second := open()
	defer second.Shutdown(t.Context())
	if got := []int{post(second, "kept"), post(second, "new"), post(second, "newer")}; got[0] != 200 || got[1] != 200 || got[2] != 429 {
		t.Errorf("after a restart one with history, and two new ones: %v, want 200, 200, 429", got)
	}
}

// Whatever a visitor writes into X-Forwarded-For, the address that the trusted proxy has added after it
// counts.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.1", "198.51.100.7, 10.0.0.2", ",", "[::1]:80", "unknown", "10.0.0.1,,10.0.0.1", "\x00", strings.Repeat("10.0.0.1,", 1000)} {
		f.Add(seed)
	}
	s := &Server{log: limit.NewLog(zerolog.Nop()), proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, forged string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:5"
		for _, fields := range [][]string{{forged + ", 203.0.113.9"}, {forged, "203.0.113.9"}, {forged + ",203.0.113.9, 10.0.0.7"}} {
			r.Header["X-Forwarded-For"] = fields
			if got := s.peerOf(r); got.Addr.String() != "203.0.113.9" {
				t.Errorf("%q: it comes from %s, want 203.0.113.9", fields, got.Addr)
			}
		}
	})
}
