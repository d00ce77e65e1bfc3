package room_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// parallel runs f for 0 to n-1 at once and reports what they return.
func parallel(t testing.TB, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// A pace keeps senders from going further ahead of the last reader than a window, so that nobody lags who only has a slow machine.
type pace struct {
	window   int64
	reached  []atomic.Int64 // messages read, by reader
	progress chan struct{}  // capacity 1: a reader has got on; never closed
}

func newPace(readers, window int) *pace {
	return &pace{int64(window), make([]atomic.Int64, readers), make(chan struct{}, 1)}
}

// wait returns when all but a window of sent messages have been read by everybody.
func (p *pace) wait(sent int64) {
	for {
		last := sent
		for i := range p.reached {
			last = min(last, p.reached[i].Load())
		}
		if sent-last < p.window {
			signal(p.progress) // for other senders
			return
		}
		<-p.progress
	}
}

// read says how far a reader has got.
func (p *pace) read(reader, messages int) {
	p.reached[reader].Store(int64(messages))
	signal(p.progress)
}

// done takes a reader out.
func (p *pace) done(reader int) { p.read(reader, math.MaxInt) }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// gather lets n members into a room: raw ones, but every so many, from the second on, of doyasa.v1.
func gather(t testing.TB, s *doyasa.Server, room string, n, every int) []*member {
	t.Helper()
	members := make([]*member, n)
	parallel(t, n, func(i int) (err error) {
		members[i], err = join(s.Addr, room, i%every == 1, "&history=0")
		return err
	})
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for _, m := range members {
			m.conn.Close()
		}
	})
	return members
}

// crowd: n members, some of whom say each number of things, all at once. Meanwhile passers come and go.
func crowd(t *testing.T, s *doyasa.Server, n, senders, each, passers int) {
	members := gather(t, s, "crowd", n, 2)
	stop := make(chan struct{}) // closed when nobody speaks any more
	var passing sync.WaitGroup
	passed := make([][]*member, passers)
	for i := range passers {
		passing.Go(func() {
			for visit := 0; ; visit++ {
				select {
				case <-stop:
					return
				default:
				}
				m, err := pass(s, "crowd", (i+visit)%2 == 0)
				if err != nil {
					t.Errorf("passer %d: %v", i, err)
					return
				}
				passed[i] = append(passed[i], m)
			}
		})
	}
	var speaking sync.WaitGroup
	for i := range senders {
		speaking.Go(func() {
			for j := range each {
				if err := members[i].say(words(i, j), ""); err != nil {
					t.Errorf("sender %d: %v", i, err)
				}
			}
		})
	}
	parallel(t, n, func(i int) error { return members[i].readUntil(senders * each) })
	speaking.Wait()
	close(stop)
	passing.Wait()
	complete(t, members[0].texts, senders, each)
	sameOrder(t, members)
	visits, seen := 0, 0
	for _, visitors := range passed {
		for _, m := range visitors {
			visits++
			seen += len(m.texts)
			if err := partOf(m.texts, members[0].texts); err != nil {
				t.Errorf("a passer (doyasa.v1: %t): %v", m.v1, err)
			}
		}
	}
	if passers > 0 {
		t.Logf("%d visits saw %d messages", visits, seen)
		if seen == 0 {
			t.Error("no visitor saw a message")
		}
	}
	// Nobody gets anything that was not said.
	parallel(t, n, func(i int) error { return members[i].leave() })
	sameOrder(t, members)
}

// pass comes, sees a few messages and goes, one way or another.
func pass(s *doyasa.Server, room string, v1 bool) (*member, error) {
	m, err := join(s.Addr, room, v1, "")
	if err != nil {
		return nil, err
	}
	defer m.conn.Close()
	m.conn.Send(wire.Ping, []byte("enough"))
	for range rand.N(40) {
		f, err := m.conn.ReadFrame()
		if err != nil {
			return nil, err
		}
		if f.First == wire.Fin|wire.Pong {
			break // there may be no more messages to wait for
		}
		if _, err := m.take(f); err != nil {
			return nil, err
		}
	}
	switch rand.N(3) {
	case 0:
		m.conn.SetLinger(0) // a reset
	case 1:
		m.conn.Send(wire.Close, wire.ClosePayload(1000, ""))
	}
	return m, nil
}

// unlimited are flags without a rate. A handshake may take long, because the machine may be busy.
var unlimited = []string{"--limits-messages-per-second", "0", "--limits-handshake-timeout", "1m"}

func TestEverybodyOneOrder(t *testing.T) {
	doyasa.Long(t)
	crowd(t, doyasa.Start(t, unlimited...), 500, 10, 30, 0)
}

func TestEverybodyOneOrderComingAndGoing(t *testing.T) {
	crowd(t, doyasa.Start(t, unlimited...), 300, 10, 40, 30)
}

func TestEverybodyOneOrderRaceDetector(t *testing.T) {
	doyasa.Long(t)
	crowd(t, doyasa.StartRace(t, unlimited...), 60, 10, 20, 10)
}

// TestPost: what is posted over HTTP is said to everybody.
func TestPost(t *testing.T) {
	s := doyasa.Start(t, unlimited...)
	members := gather(t, s, "doyasa", 6, 2)
	stored := post(t, s.Addr, "doyasa", "どやさ")
	parallel(t, len(members), func(i int) error { return members[i].readUntil(1) })
	for i, m := range members {
		if fmt.Sprint(m.texts) != "[どやさ]" {
			t.Errorf("member %d has %q", i, m.texts)
		}
	}
	if stored.Seq != 1 || stored.Text != "どやさ" {
		t.Errorf("the answer is %+v", stored)
	}
}
