package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/wsproto"
)

// Every refusal is explained in the log: what was seen, what is allowed, and by which setting. No line at any level
// has a message or a secret in it.
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
			deadline := time.Now().Add(time.Minute)
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
						e.eventually("doyasa_connections", 0) // only two are allowed at once
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
