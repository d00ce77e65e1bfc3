package hostile_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// live is the heap that the server's last collection left, in bytes, after at least two more of them. Strangers who come and go make
// it collect.
func (s *stand) live(t *testing.T) float64 {
	t.Helper()
	first, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); ; {
		for range 200 {
			conn, err := wire.Dial(s.server.Addr, "/websocket")
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		}
		m, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		if m["go_gc_duration_seconds_count"] >= first["go_gc_duration_seconds_count"]+2 {
			// The next collection is due at twice what is live, and never below 4 MiB.
			return m["go_memstats_next_gc_bytes"] / 2
		}
		if time.Since(since) > time.Minute {
			t.Fatal("no garbage collection within a minute")
		}
	}
}

// TestVanish: 100,000 connections in ten shapes, from several addresses, many at a time, leave nothing behind: no goroutine, no
// descriptor, no member, no memory; and the bystanders did not notice.
func TestVanish(t *testing.T) {
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		cycles := size(100_000, 2_000)
		round := func() {
			var next atomic.Int64
			var workers sync.WaitGroup
			for w := range 8 {
				workers.Go(func() {
					for i := int(next.Add(1)); i <= cycles; i = int(next.Add(1)) {
						if err := s.vanish(i, fmt.Sprintf("127.0.0.%d", 1+w)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			workers.Wait()
		}
		if soak { // the rooms, and what is allocated once
			cycles /= 10
			round()
			cycles *= 10
		}
		heap := s.live(t)
		s.watch(t, func(t *testing.T) { round() })
		if after := s.live(t); after > heap+4<<20 {
			t.Errorf("%.1f MiB live before, %.1f MiB after %d connections", heap/(1<<20), after/(1<<20), cycles)
		} else {
			t.Logf("%d connections in ten shapes: %.1f MiB live before, %.1f MiB after", cycles, heap/(1<<20), after/(1<<20))
		}
	})
}
