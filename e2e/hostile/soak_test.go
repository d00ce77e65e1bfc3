package hostile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// What follows measures, so it runs with DOYASA_SOAK only. A ratio is taken within one run, of the server under attack and of the
// quiet one, before or after, whichever is quicker; and has five attempts: the machine is seldom ours alone.

func onlySoak(t *testing.T) {
	if !soak {
		t.Skip("make soak runs this")
	}
}

// attempts runs a measurement until it is within a bound, five times at most.
func attempts(t *testing.T, bound float64, measure func() (quiet, attacked time.Duration)) {
	t.Helper()
	for attempt := range 5 {
		quiet, attacked := measure()
		ratio := float64(attacked) / float64(quiet)
		t.Logf("attempt %d: p99 %v quiet, %v under attack: %.2f times", attempt+1, quiet, attacked, ratio)
		if ratio <= bound {
			return
		}
	}
	t.Errorf("never within %v times the quiet run", bound)
}

// TestPromises: a header that promises 2^63-1 bytes is refused with 1009 at the header and costs less than 64 KiB of heap, and 1,000
// at once less than 64 MiB. Nor does a promise that may be kept cost anything before it is.
func TestPromises(t *testing.T) {
	onlySoak(t)
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		header := func(n uint64) []byte { return append(binary.BigEndian.AppendUint64([]byte{0x82, 0xFF}, n), 1, 2, 3, 4) }
		const n = 1000
		// All that is allocated from the header to the Close frame, the crowd's messages meanwhile included.
		allocated := func(then func(p *peer)) float64 {
			var peers []*peer
			for range n {
				peers = append(peers, s.dial(t, "?room=promises"))
			}
			before, err := s.metrics()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range peers {
				then(p)
			}
			after, err := s.metrics()
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range peers {
				p.Close()
			}
			t.Logf("%d at once: %.0f bytes allocated for each, heap in use %.1f MiB before, %.1f MiB after", n,
				(after["go_memstats_alloc_bytes_total"]-before["go_memstats_alloc_bytes_total"])/n,
				before["go_memstats_heap_inuse_bytes"]/(1<<20), after["go_memstats_heap_inuse_bytes"]/(1<<20))
			if grown := after["go_memstats_heap_inuse_bytes"] - before["go_memstats_heap_inuse_bytes"]; grown > 64<<20 {
				t.Errorf("%d at once take %.1f MiB of heap, want less than 64", n, grown/(1<<20))
			}
			return (after["go_memstats_alloc_bytes_total"] - before["go_memstats_alloc_bytes_total"]) / n
		}
		if each := allocated(func(p *peer) { p.Write(header(1<<63 - 1)); p.closed(1009) }); each > 64<<10 {
			t.Errorf("a promise of 2^63-1 allocates %.0f bytes, want less than 64 KiB", each)
		}
		if each := allocated(func(p *peer) { p.Write(header(65536)) }); each > 64<<10 {
			t.Errorf("a promise of 65,536 allocates %.0f bytes before they come, want less than 64 KiB", each)
		}
	})
}

// TestCosts: what the catalogue bounds in time, as the server's CPU time for each case, the bystanders' messages meanwhile included.
func TestCosts(t *testing.T) {
	onlySoak(t)
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		all := readVectors(t)
		nested := playable{"M6", func(t *testing.T, s *stand) {
			p, _ := s.dialV1(t, "")
			defer p.Close()
			p.Send(wire.Text, bytes.Repeat([]byte("["), 65_536))
			p.failed("bad_json")
		}}
		for _, tt := range []struct {
			id    string
			cases []playable
			bound time.Duration
		}{
			{"F6", all["F6"], time.Millisecond},
			{"H24", all["H24"], 10 * time.Millisecond},
			{"H34", all["H34"], time.Millisecond},
			{"M6", []playable{nested}, 5 * time.Millisecond},
		} {
			t.Run(tt.id, func(t *testing.T) {
				const rounds = 200
				cpu := func() time.Duration {
					m, err := s.metrics()
					if err != nil {
						t.Fatal(err)
					}
					return time.Duration(m["process_cpu_seconds_total"] * float64(time.Second))
				}
				before := cpu()
				for range rounds {
					for _, c := range tt.cases {
						c.play(t, s)
					}
				}
				each := (cpu() - before) / time.Duration(rounds*len(tt.cases))
				t.Logf("%v of CPU time for each", each)
				if each > tt.bound || len(tt.cases) == 0 {
					t.Errorf("%v of CPU time for each of %d cases, want at most %v", each, len(tt.cases), tt.bound)
				}
			})
		}
	})
}

// TestHalfOpen: 5,000 handshakes that never become whole do not keep others waiting, and are all dropped at the timeout.
func TestHalfOpen(t *testing.T) {
	onlySoak(t)
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		handshakes := func(n int) time.Duration {
			var took []time.Duration
			for range n {
				since := time.Now()
				conn, err := wire.Dial(s.server.Addr, "/websocket?room=handshakes")
				if err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(since))
				conn.Close()
			}
			return percentile(took, 99)
		}
		attempts(t, 3, func() (quiet, attacked time.Duration) {
			handshakes(200)
			quiet = handshakes(1000)
			var halves []*wire.Conn
			since := time.Now()
			for range 5000 {
				conn, err := wire.Connect(s.server.Addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.Write([]byte("GET /websocket HTTP/1.1\r\nHost: a\r\n"))
				halves = append(halves, conn)
			}
			attacked = handshakes(1000)
			for _, conn := range halves {
				dropped(t, conn)
			}
			if took := time.Since(since); took > s.timers.handshake+20*time.Second {
				t.Errorf("all dropped after %v, want %v", took, s.timers.handshake)
			}
			return min(quiet, handshakes(1000)), attacked
		})
		if _, err := s.crowd.settle(); err != nil {
			t.Error(err)
		}
	})
}

// TestOneFloods: one at full speed in everybody's room, raw and doyasa.v1: the others' messages take at most three times as long, and
// none is lost.
func TestOneFloods(t *testing.T) {
	onlySoak(t)
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		for name, flood := range map[string]func(stop chan struct{}) error{"raw": func(stop chan struct{}) error { return s.floodRaw(stop, 5) }, "doyasa.v1": s.floodV1} {
			t.Run(name, func(t *testing.T) {
				measure := func() time.Duration {
					if _, err := s.crowd.settle(); err != nil {
						t.Error(err)
					}
					time.Sleep(10 * time.Second) // the length of the measurement
					p99, err := s.crowd.settle()
					if err != nil {
						t.Error(err)
					}
					return p99
				}
				attempts(t, 3, func() (quiet, attacked time.Duration) {
					quiet = measure()
					stop := make(chan struct{})
					var flooding sync.WaitGroup
					flooding.Go(func() {
						if err := flood(stop); err != nil {
							t.Error(err)
						}
					})
					attacked = measure()
					close(stop)
					flooding.Wait()
					return min(quiet, measure()), attacked
				})
			})
		}
	})
}

// floodRaw sends messages of some length as fast as the server reads, and reads what comes back, until stop is closed.
func (s *stand) floodRaw(stop chan struct{}, length int) error {
	conn, err := wire.Dial(s.server.Addr, "/websocket")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Time{})
	go func() {
		<-stop
		conn.Close()
	}()
	go func() {
		for {
			f, err := conn.ReadFrame()
			if err != nil {
				return
			}
			if f.First == wire.Fin|wire.Ping {
				go conn.Send(wire.Pong, f.Payload) // behind the flood, for which the reading must not wait
			}
		}
	}()
	flood := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Text, bytes.Repeat([]byte("f"), length)), 100)
	for {
		if _, err := conn.Write(flood); err != nil {
			select {
			case <-stop:
				return nil
			default:
				return fmt.Errorf("a raw sender over its rate is closed: %w", err)
			}
		}
	}
}

// floodV1 sends as fast as the server reads and comes back each time it is sent away, until stop is closed.
func (s *stand) floodV1(stop chan struct{}) error {
	flood := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Text, say("flood")), 1000)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		conn, err := wire.Dial(s.server.Addr, "/websocket", v1)
		if err != nil {
			return err
		}
		go func() {
			for {
				if _, err := conn.ReadFrame(); err != nil {
					return
				}
			}
		}()
		for err == nil {
			_, err = conn.Write(flood)
		}
		conn.Close()
	}
}
