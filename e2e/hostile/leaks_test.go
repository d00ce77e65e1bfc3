package hostile_test

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// live is the heap that the server's last collection left, in bytes, after at least two more of them. Nobody else need be there:
// answering for its metrics makes it collect.
func (s *stand) live(t *testing.T) float64 {
	t.Helper()
	first, err := s.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for since := time.Now(); time.Since(since) < time.Minute; {
		m, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		if m["go_gc_duration_seconds_count"] >= first["go_gc_duration_seconds_count"]+2 {
			return liveIn(m)
		}
	}
	t.Fatal("no garbage collection within a minute")
	return 0
}

// liveIn is the heap that the last collection left, in bytes, by the metrics: the next is due when so much garbage has come to it as
// GOGC says in percent, which is more in a storm of handshakes. Of 2 to 3 MiB or less it says that.
func liveIn(metrics map[string]float64) float64 {
	return metrics["go_memstats_next_gc_bytes"] / (1 + metrics["go_gc_gogc_percent"]/100)
}

// TestVanish: 100,000 connections in ten shapes, from several addresses, many at a time, leave nothing behind: no goroutine, no
// descriptor, no member, and no memory once nobody is awaited back (who has gone is among the people for half a minute); and the
// bystanders did not notice.
func TestVanish(t *testing.T) {
	doyasa.Long(t)
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
		before := s.live(t)
		s.watch(t, func(t *testing.T) { round() })
		const MiB = 1 << 20
		at, gone := s.live(t), time.Now()
		after := at
		for after > before+4*MiB && time.Since(gone) < 45*time.Second {
			after = s.live(t)
		}
		result := fmt.Sprintf("%.1f MiB live before %d connections in ten shapes, %.1f MiB at their end, %.1f MiB %v later",
			before/MiB, cycles, at/MiB, after/MiB, time.Since(gone).Round(time.Second))
		if after > before+4*MiB {
			t.Error(result)
		} else {
			t.Log(result)
		}
	})
}

// runVanish: what is gone leaves nothing behind; the counters are the oracle's.
func runVanish(t *testing.T, s *stand) {
	for i := range size(10_000, 500) {
		if err := s.vanish(i, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
}

// shapes are the ways of vanishing.
const shapes = 10

// vanish connects from an address and goes, in one of ten shapes.
func (s *stand) vanish(i int, from string) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := dialer.Dial("tcp", s.server.Addr)
	if err != nil {
		return err
	}
	s.dialled.Add(1)
	conn := nc.(*net.TCPConn)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wire.Patience))
	request := wire.Request("a", fmt.Sprintf("/websocket?room=vanish%d", i%7))
	message := wire.Append(nil, wire.Fin|wire.Text, []byte("gone"))
	answer := make([]byte, 12)
	shape := i % shapes
	switch shape {
	case 0: // not a byte
	case 1: // half a request
		conn.Write(request[:len(request)/2])
	case 2: // a request, the answer unread
		conn.Write(request)
	case 3: // the same, reset
		conn.Write(request)
		conn.SetLinger(0)
	case 4: // answered, then gone
		conn.Write(request)
		conn.Read(answer)
	case 5: // a message with the request, then gone
		conn.Write(append(request, message...))
	case 6: // a message behind the answer, then reset
		conn.Write(request)
		conn.Read(answer)
		conn.Write(message)
		conn.SetLinger(0)
	case 7: // half a frame
		conn.Write(request)
		conn.Read(answer)
		conn.Write(message[:len(message)/2])
	case 8: // a Close frame, its answer unread
		conn.Write(slices.Concat(request, message, wire.Append(nil, wire.Fin|wire.Close, nil)))
		conn.Read(answer)
	case 9: // doyasa.v1, half-closed, then gone
		conn.Write(wire.Request("a", "/websocket?room=vanish", "Sec-WebSocket-Protocol: doyasa.v1"))
		conn.Read(answer)
		conn.CloseWrite()
	}
	return nil
}
