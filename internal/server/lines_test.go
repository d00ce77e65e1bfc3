package server

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/wsproto"
)

// One address can make ten lines a second, the last of which says how many were left
// out; it costs no other address one.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(lockedBuffer)
		log := zerolog.New(out)
		l := newLines(log)
		count := func() int { return strings.Count(out.String(), "\n") }
		for range 1000 {
			l.event(&log, zerolog.InfoLevel, 1).Msg("flood")
		}
		l.event(&log, zerolog.WarnLevel, 2).Msg("another")
		if n := count(); n != 10 {
			t.Errorf("%d lines at once, want 9 of the flood and 1 of another address", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := count(); n != 11 || !strings.Contains(out.String(), `"omitted":991`) {
			t.Errorf("%d lines after a second, want one more that tells of 991:\n%s", n, out)
		}
		l.mu.Lock()
		if len(l.sources) != 0 {
			t.Errorf("%d addresses are remembered for nothing", len(l.sources))
		}
		l.mu.Unlock()
		l.event(&log, zerolog.InfoLevel, 1).Msg("later")
		if n := count(); n != 12 {
			t.Errorf("%d lines, want one more", n)
		}
		quiet := log.Level(zerolog.ErrorLevel)
		for range 100 {
			l.event(&quiet, zerolog.InfoLevel, 3).Msg("not wanted")
		}
		l.mu.Lock()
		if l.sources[3] != nil {
			t.Error("what is not logged counts")
		}
		l.mu.Unlock()
		time.Sleep(time.Second)
	})
}

// What peers send stands escaped, short and on one line.
func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"どやさ /a":                 "どやさ /a",
		"a\r\n[ERROR] b":         `a\r\n[ERROR] b`,
		"\x1b[2J":                `\x1b[2J`,
		"\u009b2J":               `\u009b2J`,
		"a\u202eb":               `a\u202eb`,
		"\xff":                   "\uFFFD",
		`say "x"` + "\n":         `say \"x\"\n`,
		strings.Repeat("や", 100): strings.Repeat("や", 66) + "…",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q, want %q", in, got, want)
		}
	}
}

// Every refusal answers in the log why: what was seen, what is allowed, and which
// setting says so. No line at any level has a message or a secret in it.
func TestRefusalsAreExplained(t *testing.T) {
	e := newEdge(t, func(c *config.Config) {
		c.Limits.Connections, c.Rooms.Max, c.Limits.RoomsPerMinutePerIP, c.Limits.MessageBytes = 2, 2, 1, 100
		c.Limits.TextBytes, c.TrustedProxies = 50, []string{"127.0.0.0/8"}
	})
	frame := func(text string) string {
		return string(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}, []byte(text)))
	}
	type wish struct {
		name, from, request, more string
		want                      map[string]any
	}
	for _, tt := range []wish{
		{"origin", "1", strings.Replace(with(t, "Origin: https://evil.example"), "/websocket", "/websocket?session=SECRET0", 1), "", map[string]any{
			"level": "warn", "status": 403.0, "reason": "origin", "seen": "https://evil.example", "host": "chat.example",
			"setting": "public_url (the address people open), or allowed_origins"}},
		{"version", "2", vary(t, "Version: 13", "Version: 8"), "", map[string]any{"status": 426.0, "reason": "bad_handshake"}},
		{"room", "3", vary(t, "/websocket", "/websocket?session=SECRET1&room=a%20b%1b%5b2J"), "", map[string]any{"code": 1008.0, "reason": "bad_room", "seen": `a b\x1b[2J`}},
		{"after", "4", vary(t, "/websocket", "/websocket?session=SECRET2&after=-1"), "", map[string]any{"code": 1008.0, "reason": "bad_after", "seen": "-1"}},
		{"query", "5", vary(t, "/websocket", "/websocket?session=SECRET3;x&%zz"), "", map[string]any{"code": 1008.0, "reason": "bad_query", "seen": ""}},
		{"one room", "6", vary(t, "/websocket", "/websocket?room=one"), frame("hush"), nil},
		{"rooms per minute", "6", vary(t, "/websocket", "/websocket?room=two"), "", map[string]any{
			"code": 1013.0, "reason": "rate_limited", "setting": "limits.rooms_per_minute_per_ip", "allowed": 1.0}},
		{"too long", "8", handshake, frame(strings.Repeat("hush", 26)), map[string]any{
			"code": 1009.0, "setting": "limits.message_bytes", "allowed": 100.0}},
		{"unmasked", "9", handshake, "\x81\x04hush", map[string]any{"code": 1002.0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := "203.0.113." + tt.from
			before := len(e.log.String())
			nc := e.dial()
			defer nc.Close()
			nc.Write([]byte(strings.Replace(tt.request, "\r\n\r\n", "\r\nX-Forwarded-For: "+from+"\r\n\r\n", 1) + tt.more))
			if tt.want == nil {
				return
			}
			deadline := time.Now().Add(10 * time.Second)
			for {
				for line := range strings.Lines(e.log.String()[before:]) {
					var fields map[string]any
					if json.Unmarshal([]byte(line), &fields) != nil {
						continue
					}
					matches := fields["remote"] == from
					for key, value := range tt.want {
						matches = matches && fields[key] == value
					}
					if matches {
						nc.Close()
						e.eventually("doyasa_connections", 0) // there may be two
						return
					}
				}
				if time.Now().After(deadline) {
					t.Fatalf("no line with %v in\n%s", tt.want, e.log.String()[before:])
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for _, secret := range []string{"SECRET", "hush", "session="} {
		if strings.Contains(e.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, e.log)
		}
	}
}
