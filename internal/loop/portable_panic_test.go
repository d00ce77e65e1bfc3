package loop

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// In whatever method a session panics, its connection ends, after its last words, and no other.
func TestPanics(t *testing.T) {
	for _, method := range []string{"Feed", "Paused", "Due", "Wrote", "Tick", "posted"} {
		t.Run(method, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, l *Portable) {
				r, peer := start(t, l, 1<<10, "")
				_, neighbour := start(t, l, 1<<10, "")
				synctest.Wait()
				r.set(func() { r.panics = method })
				switch method {
				case "Feed", "Paused":
					go io.WriteString(peer, "x")
				case "Wrote":
					r.send("sent ")
					expect(t, peer, "sent ")
				case "posted":
					r.conn.Post(func() { r.trip("posted") })
				}
				expect(t, peer, "last words")
				if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after its last words %d bytes, %v, want EOF", n, err)
				}
				peer.Close()
				<-r.gone
				if err, _ := r.ended(); !errors.Is(err, ErrPanicked) || len(r.panicky) != 1 {
					t.Errorf("closed with %v, told of %v, want ErrPanicked, once", err, r.panicky)
				}
				l.each(func(c *conn) {
					if rec := c.session.(*recorder); rec != r {
						rec.send("alive")
					}
				})
				expect(t, neighbour, "alive")
			})
		})
	}
}

// After a panic during a write that is blocked, nothing is written in the middle of that.
func TestPanicDuringAWrite(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		text := strings.Repeat("x", 100)
		r.send(text)
		synctest.Wait()
		r.set(func() { r.panics = "Feed" })
		io.WriteString(peer, "x")
		expect(t, peer, text[:50])
		time.Sleep(time.Second)
		synctest.Wait()
		r.mu.Lock()
		total := 0
		for _, n := range r.wrote {
			total += n
		}
		r.mu.Unlock()
		if total == 0 || total > 60 {
			t.Errorf("Wrote adds up to %d of 100 bytes, want those that were written", total)
		}
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); !errors.Is(err, ErrPanicked) {
			t.Errorf("closed with %v, want ErrPanicked", err)
		}
	})
}

// A panic in Wrote is reported also when the write has failed.
func TestPanicInAFailedWrite(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		synctest.Wait()
		r.set(func() { r.feed = errors.New("enough") }) // so that only a write can find out that the peer has gone
		io.WriteString(peer, "x")
		synctest.Wait()
		peer.Close()
		r.set(func() { r.pending, r.panics = []byte("lost"), "Wrote" })
		<-r.gone
		if err, _ := r.ended(); !errors.Is(err, ErrPanicked) || len(r.panicky) != 1 {
			t.Errorf("closed with %v, told of %v, want ErrPanicked, once", err, r.panicky)
		}
	})
}

// A panic in Closed, the last call, is reported too, and Shutdown returns all the same.
func TestPanicInClosed(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "")
		r.set(func() { r.panics = "Closed" })
		peer.Close()
		<-r.gone
		if len(r.panicky) != 1 {
			t.Errorf("told of %v, want what it panicked with", r.panicky)
		}
	})
}

func TestStats(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := start(t, l, 10, "early")
		gone, other := start(t, l, 10, "")
		gone.send("abc")
		expect(t, other, "abc")
		other.Close()
		<-gone.gone
		r.send(strings.Repeat("x", 25))
		time.Sleep(time.Second)
		synctest.Wait()
		got := l.Stats()
		if want := (Stats{Connections: 1, Blocked: 1, Reads: 1, ReadBytes: 5, Writes: got.Writes, WrittenBytes: 13}); got != want || got.Writes < 2 {
			t.Errorf("Stats = %+v, want %+v and at least two writes", got, want)
		}
		expect(t, peer, strings.Repeat("x", 25))
		synctest.Wait()
		if got := l.Stats(); got.Blocked != 0 || got.WrittenBytes != 28 {
			t.Errorf("Stats = %+v, want none blocked and 28 bytes written", got)
		}
	})
}
