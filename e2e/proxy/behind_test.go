package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// The WebSocket gets through with the README's lines, small and large messages both ways, and so does the Close.
func TestUpgrade(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		proxy := k.start(t, doyasa.Start(t), nil)
		conn := upgrade(t, proxy)
		for _, size := range []int{1, 200, 60_000} {
			text := bytes.Repeat([]byte("x"), size)
			conn.Send(wire.Text, text)
			if f := frame(t, conn); f.First != wire.Fin|wire.Text || !bytes.Equal(f.Payload, text) {
				t.Errorf("%d bytes come back as %v", size, f)
			}
		}
		conn.Send(wire.Close, wire.ClosePayload(1000, ""))
		if f := frame(t, conn); f.Code() != 1000 {
			t.Errorf("%v, want Close 1000", f)
		}
	})
}

// The page's origin is the address people open. With the README's lines that is the Host which the server sees; a proxy that
// rewrites it needs public_url, and without it the log says what was seen and what to set.
func TestOrigin(t *testing.T) {
	const own, evil = "Origin: http://chat.example.org", "Origin: https://evil.example"
	each(t, func(t *testing.T, k kind) {
		bare := doyasa.Start(t)
		public := doyasa.Start(t, "--public-url", "http://chat.example.org")
		for _, tt := range []struct {
			name   string
			server *doyasa.Server
			change func(string) string
			origin string
			want   int
		}{
			{"as in the README", bare, nil, own, 101},
			{"as in the README, over TLS that the proxy ends", bare, nil, "Origin: https://chat.example.org", 101},
			{"as in the README, another site", bare, nil, evil, 403},
			{"Host rewritten", bare, k.rewrite, own, 403},
			{"Host rewritten, public_url", public, k.rewrite, own, 101},
			{"Host rewritten, public_url, another site", public, k.rewrite, evil, 403},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if _, status := open(t, "", k.start(t, tt.server, tt.change), tt.origin); status != tt.want {
					t.Errorf("%s: %d, want %d", tt.origin, status, tt.want)
				}
			})
		}
		line := bare.Logged(`"seen":"http://chat.example.org"`)
		if line["host"] != bare.Addr || !strings.Contains(fmt.Sprint(line["setting"]), "public_url") {
			t.Errorf("the log says %v, want the Host that was seen, %s, and the setting public_url", line, bare.Addr)
		}
	})
}

// A proxy that gives up on quiet connections, as nginx does after 60 s, never finds one quiet as long as the server pings more
// often. Here it gives up after 8 s.
func TestIdle(t *testing.T) {
	doyasa.Long(t)
	impatient := func(block string) string {
		return strings.Replace(block, "{\n", "{\n    proxy_read_timeout 8s;\n", 1)
	}
	each(t, func(t *testing.T, k kind) {
		change := impatient
		if k.name == "caddy" { // it has no such limit
			change = nil
		}
		pinging := doyasa.Start(t, "--limits-ping-interval", "2s", "--limits-pong-timeout", "1900ms")
		conn := upgrade(t, k.start(t, pinging, change))
		for i := range 5 {
			f, err := conn.ReadFrame()
			if err != nil || f.First != wire.Fin|wire.Ping {
				t.Fatalf("ping %d: %v, %v", i+1, f, err)
			}
			conn.Send(wire.Pong, f.Payload)
		}
		conn.Send(wire.Text, []byte("still here"))
		if f := frame(t, conn); string(f.Payload) != "still here" {
			t.Errorf("after 10 s without a message: %v", f)
		}
		if change == nil {
			return
		}
		quiet := upgrade(t, k.start(t, doyasa.Start(t), change)) // that pings every 25 s
		if f, err := quiet.ReadFrame(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, %v, want the end of the connection: this proxy does not wait, so nothing is shown above", f, err)
		}
	})
}

// What counts is the visitor's address, not the proxy's, and not what the visitor writes in front of it.
func TestForwardedFor(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		// The proxy comes from 127.0.0.1, the visitors from other addresses.
		trusting := doyasa.Start(t, "--trusted-proxies", "127.0.0.1", "--limits-connections-per-ip", "1")
		proxy := k.start(t, trusting, nil)
		for _, tt := range []struct {
			from string
			more []string
			want int
		}{
			{"127.0.0.11", nil, http.StatusSwitchingProtocols},
			{"127.0.0.12", nil, http.StatusSwitchingProtocols},
			{"127.0.0.11", nil, http.StatusTooManyRequests},
			{"127.0.0.11", []string{"X-Forwarded-For: 198.51.100.7"}, http.StatusTooManyRequests},
			{"127.0.0.11", []string{"X-Forwarded-For: 198.51.100.7, 127.0.0.1"}, http.StatusTooManyRequests},
			{"127.0.0.12", []string{"X-Forwarded-For: 127.0.0.1"}, http.StatusTooManyRequests},
			{"127.0.0.13", []string{"X-Forwarded-For: 127.0.0.11"}, http.StatusSwitchingProtocols},
		} {
			if _, status := open(t, tt.from, proxy, tt.more...); status != tt.want {
				t.Errorf("from %s with %q: %d, want %d", tt.from, tt.more, status, tt.want)
			}
		}
		if line := trusting.Logged("limits.connections_per_ip"); line["remote"] != "127.0.0.11" || line["allowed"] != 1.0 {
			t.Errorf("the log says %v, want the visitor's address", line)
		}

		// Nobody is trusted: all who come through the proxy are one, and the log says so, once.
		wary := doyasa.Start(t, "--limits-connections-per-ip", "1")
		proxy = k.start(t, wary, nil)
		if _, status := open(t, "127.0.0.11", proxy); status != http.StatusSwitchingProtocols {
			t.Errorf("the first: %d, want 101", status)
		}
		if _, status := open(t, "127.0.0.12", proxy); status != http.StatusTooManyRequests {
			t.Errorf("another visitor: %d, want 429: the proxy's address counts", status)
		}
		wary.Logged("list its address in trusted_proxies")
		if n := strings.Count(wary.Log(), "list its address in trusted_proxies"); n != 1 {
			t.Errorf("%d warnings about trusted_proxies, want 1", n)
		}
	})
}
