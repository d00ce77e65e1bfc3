package faults

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// Who joins while messages are stored as fast as they can be is given some history and then everything, without a hole, from its
// first message on. DOYASA_JOINS is the long form's.
func TestJoins(t *testing.T) {
	joins, atOnce := number("DOYASA_JOINS", 1000), 100
	server := doyasa.Start(t, "--history-store", "embedded", "--history-dir", t.TempDir(), "--limits-messages-per-second", "0")
	ctx, cancel := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	defer talking.Wait()
	defer cancel()
	var said atomic.Int64
	for range 4 {
		conn, err := wire.Dial(server.Addr, "/websocket?room=r&history=0", "Sec-WebSocket-Protocol: doyasa.v1")
		if err != nil {
			t.Fatal(err)
		}
		talking.Go(func() { flood(ctx, conn, &said) })
	}
	// Somebody is there all the time, and misses nothing either.
	witness := joiner{until: func(live int) bool { return ctx.Err() != nil }}
	talking.Go(func() {
		if err := witness.run(server.Addr, "history=0"); err != nil {
			t.Errorf("the witness: %v", err)
		}
	})

	next := make(chan int) // numbers of joins; the test sends, and closes it behind the last
	var joining sync.WaitGroup
	var messages atomic.Int64
	began := time.Now()
	for range atOnce {
		joining.Go(func() {
			for n := range next {
				j := joiner{until: func(live int) bool { return live >= 20 }}
				if err := j.run(server.Addr, ""); err != nil {
					t.Errorf("join %d: %v", n, err)
				}
				if j.history < 50 && n > atOnce {
					t.Errorf("join %d: %d messages of history, want 50", n, j.history)
				}
				messages.Add(int64(j.messages))
			}
		})
	}
	for n := range joins {
		next <- n
	}
	close(next)
	joining.Wait()
	took := time.Since(began)
	cancel()
	t.Logf("%d joins, %d at once, in %v, while %d messages were stored; %d messages checked by who joined, %d by the witness",
		joins, atOnce, took.Round(time.Millisecond), said.Load(), messages.Load(), witness.messages)
	if int(said.Load()) < joins/4 {
		t.Errorf("only %d messages were said meanwhile", said.Load())
	}
}

// flood says messages as fast as they come back, a number at once, until ctx ends.
func flood(ctx context.Context, conn *wire.Conn, said *atomic.Int64) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	const window = 64
	say := wire.Append(nil, wire.Fin|wire.Text, []byte(`{"type":"say","text":"どやさ"}`))
	conn.SetDeadline(time.Time{})
	conn.Write(bytes.Repeat(say, window))
	seen := 0
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			return
		}
		if bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)) {
			if seen++; seen%4 == 0 { // four say the same
				said.Add(1)
				conn.Write(say)
			}
		}
	}
}

// A joiner is one connection that checks the chain of what it is given.
type joiner struct {
	until    func(live int) bool // enough, after so many live messages
	messages int
	history  int
}

func (j *joiner) run(addr, query string) error {
	conn, err := wire.Dial(addr, "/websocket?room=r&"+query, "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		return err
	}
	defer conn.Close()
	last, live := uint64(0), 0
	isLive := false
	for !j.until(live) {
		conn.SetDeadline(time.Now().Add(wire.Patience))
		f, err := conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("at %d: %w", last, err)
		}
		switch {
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)):
			seq, prev := field(f.Payload, `"seq":`), field(f.Payload, `"prev":`)
			if last > 0 && prev != last || seq <= prev {
				return fmt.Errorf("%d with prev %d behind %d", seq, prev, last)
			}
			last = seq
			j.messages++
			if isLive {
				live++
			}
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"live"`)):
			if seq := field(f.Payload, `"seq":`); last > 0 && seq != last {
				return fmt.Errorf("live at %d, after %d", seq, last)
			}
			isLive, j.history = true, j.messages
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"gap"`)), f.Code() != 0:
			return fmt.Errorf("at %d: %v", last, f)
		case f.First == wire.Fin|wire.Ping:
			conn.Send(wire.Pong, f.Payload)
		}
	}
	return nil
}
