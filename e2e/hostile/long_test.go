package hostile_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

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
		if err := s.floodRaw(stop, 4096); err != nil { // the room's logs and history are full before long
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
			liveIn(m)/(1<<20), m["go_goroutines"], m["doyasa_messages_total"], p99)
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

// visit is what a person does: comes, says something, sees it, goes. It is said at some length, so that the room's log and history are
// full before long, too.
func (s *stand) visit(i int) error {
	conn, err := wire.Dial(s.server.Addr, fmt.Sprintf("/websocket?room=visits&history=1&name=v%d", i), v1)
	if err != nil {
		return err
	}
	defer conn.Close()
	last := ""
	for n := range 5 {
		last = fmt.Sprintf("visit %d %d ", i, n)
		conn.Send(wire.Text, say(last+strings.Repeat("x", 4000)))
	}
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("a visitor never saw his own words: %w", err)
		}
		if bytes.Contains(f.Payload, []byte(last)) {
			return nil
		}
	}
}
