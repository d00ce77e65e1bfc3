package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/internal/config"
)

// A member that reads very little, but never nothing, is not slow by the loop's measure. It must not hold on to a chunk
// that the log has evicted: if it finishes its record in time it goes on at the head after a gap, even if there is more
// in the chunk; if it does not, it is closed.
func TestTrickle(t *testing.T) {
	for _, tt := range []struct {
		name      string
		perSecond int
		closed    bool
	}{
		{"a byte a second", 1, true},
		{"a record in two seconds", 1500, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &play{t: t, config: config.Default(), clients: make(map[string]*client), names: make(map[string]string)}
				defer p.end()
				do := func(line string) {
					p.step(line)
					synctest.Wait()
				}
				do("config buffer=6000 log_bytes=70000 chunk_bytes=32768 limits.burst=1000")
				do("A connect v1 /websocket?name=A")
				say := func(n int) {
					for range n {
						do(`A > text {"type":"say","text":"{x*3000}"}`)
					}
				}
				say(19) // chunks of 1, 2, 5 and 10 of them, and the first of a chunk that has room for 9 more
				do("B connect v1 /websocket?name=B&history=0")
				do("B stall")
				say(40)
				b := p.clients["B"]
				b.nc.SetReadDeadline(time.Time{}) // its own goroutine does not read
				began := time.Now()
				var got strings.Builder
				ended := false
				for time.Since(began) < 12*time.Second && !ended {
					time.Sleep(time.Second)
					buf := make([]byte, tt.perSecond)
					n, err := b.nc.Read(buf)
					got.Write(buf[:n])
					ended = err != nil
					synctest.Wait()
					if p.server.sessions.Stats().Sockets.Connections == 1 {
						ended = true
					}
				}
				gap := strings.Contains(got.String(), `{"type":"gap","from":`)
				if ended != tt.closed || gap == tt.closed {
					t.Errorf("ended %v after %v, told of a gap %v, want ended %v", ended, time.Since(began), gap, tt.closed)
				}
				if took := time.Since(began); tt.closed && (took < 4*time.Second || took > 7*time.Second) {
					t.Errorf("ended after %v, want limits.slow_timeout, 5 s", took)
				}
				if at := strings.Index(got.String(), `{"type":"gap","from":`); gap && strings.Count(got.String()[:at], `"type":"message"`) > 5 {
					t.Errorf("went on behind %d messages, want at the next after half of limits.slow_timeout", strings.Count(got.String()[:at], `"type":"message"`))
				}
			})
		})
	}
}
