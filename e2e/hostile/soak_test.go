package hostile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// What follows measures, so it runs with DOYASA_SOAK only. A ratio is taken within one run, of the server under attack and of the
// quiet one, before or after, whichever is quicker; and has three attempts: the machine is seldom ours alone.

func onlySoak(t *testing.T) {
	if !soak {
		t.Skip("make soak runs this")
	}
}

// attempts runs a measurement until it is within a bound, three times at most.
func attempts(t *testing.T, bound float64, measure func() (quiet, attacked time.Duration)) {
	t.Helper()
	for attempt := range 3 {
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
				dropped(t, conn, s.timers.handshake)
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
		for name, flood := range map[string]func(stop chan struct{}) error{"raw": s.floodRaw, "doyasa.v1": s.floodV1} {
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

// floodRaw sends as fast as the server reads, and reads what comes back, until stop is closed.
func (s *stand) floodRaw(stop chan struct{}) error {
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
				conn.Send(wire.Pong, f.Payload)
			}
		}
	}()
	flood := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Text, []byte("flood")), 1000)
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

// TestLong: everything at once for as long as DOYASA_SOAK says, such as 10m or 1h: memory stays flat, and in the end the counters are
// where they were.
func TestLong(t *testing.T) {
	onlySoak(t)
	length, err := time.ParseDuration(os.Getenv("DOYASA_SOAK"))
	if err != nil {
		length = 10 * time.Minute
	}
	s := newStand(t, doyasa.Start)
	all := streams(t)
	stop := make(chan struct{})
	var strangers sync.WaitGroup
	until := func(run func(i int) error) {
		strangers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := run(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	pace := func(n int) func() { // n a second, so that the machine is not what is measured
		ticker := time.NewTicker(time.Second / time.Duration(n))
		t.Cleanup(ticker.Stop)
		return func() {
			select {
			case <-ticker.C:
			case <-stop:
			}
		}
	}
	vanishing, playing, coming := pace(100), pace(20), pace(2)
	until(func(i int) error { vanishing(); return s.vanish(i, fmt.Sprintf("127.0.0.%d", 1+i%200)) })
	until(func(i int) error { playing(); return s.throw(all[i%len(all)].Wire()) })
	until(func(i int) error { coming(); return s.visit(i) })
	strangers.Go(func() {
		if err := s.floodRaw(stop); err != nil {
			t.Error(err)
		}
	})

	var used []int
	samples := max(10, int(length/time.Minute))
	for range samples {
		time.Sleep(length / time.Duration(samples)) // the length of the soak
		p99, err := s.crowd.settle()
		if err != nil {
			t.Error(err)
		}
		s.crowd.forget()
		rss, err := s.server.RSS()
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.metrics()
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, rss)
		t.Logf("%.1f MiB in use, %.1f MiB live, %.0f goroutines, %.0f messages, others' p99 %v", float64(rss)/(1<<20),
			m["go_memstats_next_gc_bytes"]/2/(1<<20), m["go_goroutines"], m["doyasa_messages_total"], p99)
	}
	close(stop)
	strangers.Wait()
	half := len(used) / 2
	first, second := mostOf(used[len(used)/5:half+1]), mostOf(used[half:])
	if second > first+first/10+4<<20 {
		t.Errorf("at most %d MiB in the first half, %d MiB in the second: want flat", first>>20, second>>20)
	}
	if err := s.returned(s.before); err != nil {
		t.Error(err)
	}
}

func mostOf(all []int) (most int) {
	for _, n := range all {
		most = max(most, n)
	}
	return most
}

// throw sends a stream and goes.
func (s *stand) throw(stream []byte) error {
	conn, err := wire.Dial(s.server.Addr, "/websocket?room=thrown")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Write(stream)
	conn.CloseWrite()
	for {
		if _, err := conn.ReadFrame(); err != nil {
			return nil
		}
	}
}

// visit is what a person does: comes, says something, sees it, goes.
func (s *stand) visit(i int) error {
	conn, err := wire.Dial(s.server.Addr, fmt.Sprintf("/websocket?room=visit%d&name=v%d", i%50, i), v1)
	if err != nil {
		return err
	}
	defer conn.Close()
	want := fmt.Sprint("visit ", i)
	conn.Send(wire.Text, say(want))
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("a visitor never saw his own words: %w", err)
		}
		if bytes.Contains(f.Payload, []byte(want)) {
			return nil
		}
	}
}
