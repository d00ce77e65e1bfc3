package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// Who joins while messages are stored as fast as they can be is given the newest history and then everything, without a hole, from
// its first message on. Then some resume far back, where the log no longer reaches, and are caught up by pages while the room goes
// on. DOYASA_JOINS is the long form's.
func TestJoins(t *testing.T) {
	doyasa.Long(t)
	const atOnce, talkers, resumers, behind = 100, 4, 20, 6000
	joins := number("DOYASA_JOINS", 1000)
	server := doyasa.Start(t, "--history-store", "embedded", "--history-dir", t.TempDir(), "--limits-messages-per-second", "0",
		"--history-messages", "1000000", "--history-bytes", "10GiB", "--history-total-bytes", "10GiB")
	ctx, cancel := context.WithCancel(t.Context())
	var talking, flooding sync.WaitGroup
	defer talking.Wait()
	defer cancel()
	flooded, dry := context.WithCancel(ctx)
	defer dry()
	talk := func(ctx context.Context, wg *sync.WaitGroup, said *atomic.Int64, name string, window int) {
		conn, err := wire.Dial(server.Addr, "/websocket?room=r&history=0&name="+name, "Sec-WebSocket-Protocol: doyasa.v1")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { flood(ctx, conn, said, name, window) })
	}
	var said, slowly atomic.Int64
	for i := range talkers {
		talk(flooded, &flooding, &said, fmt.Sprint("flooder", i), 64)
	}
	// Somebody is there all the time, and misses nothing either.
	var watching sync.WaitGroup
	var seenEnough atomic.Bool
	witness := joiner{asked: -1, until: func(int) bool { return seenEnough.Load() }}
	watching.Go(func() {
		if err := witness.run(server.Addr, "history=0"); err != nil {
			t.Errorf("the witness: %v", err)
		}
	})

	var messages, pages atomic.Int64
	began := time.Now()
	atMost(atOnce, joins, func(n int) {
		j := joiner{asked: 50, until: func(live int) bool { return live >= 20 }}
		if err := j.run(server.Addr, ""); err != nil {
			t.Errorf("join %d: %v", n, err)
		}
		messages.Add(int64(j.messages))
	})
	took := time.Since(began)

	// The log is 4 MiB, and a message more than a KiB.
	var head joiner
	eventually(t, "the room has said more than its log holds", func() error {
		head = joiner{asked: 0, until: func(int) bool { return true }}
		err := head.run(server.Addr, "history=0")
		if n := said.Load(); err == nil && n < behind+1000 {
			err = fmt.Errorf("it has %d messages", n)
		}
		return err
	})
	dry()
	flooding.Wait()
	head = joiner{asked: 0, until: func(int) bool { return true }}
	if err := head.run(server.Addr, "history=0"); err != nil {
		t.Fatal(err)
	}
	talk(ctx, &talking, &slowly, "talker", 1)
	positions := newest(t, server.Addr, behind+resumers)
	atMost(resumers, resumers, func(n int) {
		j := joiner{from: fmt.Sprint("127.0.0.", 2+n), resumes: true, asked: -1, last: positions[n], until: func(live int) bool { return live >= 20 }}
		if err := j.run(server.Addr, fmt.Sprintf("after=%d&epoch=%s", j.last, head.epoch)); err != nil {
			t.Errorf("resumer %d: %v", n, err)
		}
		pages.Add(int64(j.messages))
	})
	seenEnough.Store(true)
	watching.Wait() // somebody is still talking, so there is one more message to see
	t.Logf("%d joins, %d at once, in %v, while %d messages were stored; %d messages checked by who joined, %d by who resumed far back, %d by the witness",
		joins, atOnce, took.Round(time.Millisecond), said.Load(), messages.Load(), pages.Load(), witness.messages)
	if int(said.Load()) < joins/4 {
		t.Errorf("only %d messages were said meanwhile", said.Load())
	}
}

// newest returns the positions of the newest n messages of the room, oldest first.
func newest(t *testing.T, addr string, n int) (positions []uint64) {
	t.Helper()
	query := "?limit=200"
	for len(positions) < n {
		p := fetch(t, addr, query)
		if len(p.Messages) == 0 {
			t.Fatalf("the room has only %d messages", len(positions))
		}
		var page []uint64
		for _, m := range p.Messages {
			page = append(page, m.Seq)
		}
		positions = append(page, positions...)
		query = fmt.Sprintf("?limit=200&before=%d", positions[0])
	}
	return positions[len(positions)-n:]
}

// atMost calls f for 0 to n-1, so many at once.
func atMost(atOnce, n int, f func(n int)) {
	numbers := make(chan int) // sent and closed here
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for n := range numbers {
				f(n)
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	running.Wait()
}

// flood says messages as fast as they come back, a number at once, until ctx ends.
func flood(ctx context.Context, conn *wire.Conn, said *atomic.Int64, name string, window int) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	say := wire.Append(nil, wire.Fin|wire.Text, fmt.Appendf(nil, `{"type":"say","text":"どやさ %s"}`, strings.Repeat("x", 1000)))
	conn.SetDeadline(time.Time{})
	conn.Write(bytes.Repeat(say, window))
	own := fmt.Appendf(nil, `"name":%q`, name)
	for {
		f, err := conn.ReadFrame()
		if err != nil {
			return
		}
		if bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)) && bytes.Contains(f.Payload, own) {
			said.Add(1)
			conn.Write(say)
		}
	}
}

// A joiner is one connection that checks the chain of what it is given.
type joiner struct {
	until func(live int) bool // enough, after so many live messages
	// How many messages up to the head that hello names are wanted; -1: any number.
	asked   int
	resumes bool   // behind last
	last    uint64 // position
	from    string // an address of this machine: how many pages one may have in a second is limited

	epoch    string
	head     uint64 // as hello names it
	begins   uint64 // the prev of the first message
	messages int
	history  int // messages up to head
}

func (j *joiner) run(addr, query string) error {
	const protocol = "Sec-WebSocket-Protocol: doyasa.v1"
	conn, err := wire.ConnectFrom(j.from, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Write(wire.Request(addr, "/websocket?room=r&"+query, protocol))
	if err := conn.Accepted(protocol); err != nil {
		return err
	}
	live, isLive := 0, false
	for !isLive || !j.until(live) {
		conn.SetDeadline(time.Now().Add(wire.Patience))
		f, err := conn.ReadFrame()
		if err != nil {
			return fmt.Errorf("at %d: %w", j.last, err)
		}
		switch {
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"hello"`)):
			var hello struct {
				Epoch   string
				Seq     uint64
				Resumed bool
			}
			if err := json.Unmarshal(f.Payload, &hello); err != nil {
				return err
			}
			if j.epoch, j.head = hello.Epoch, hello.Seq; hello.Resumed != j.resumes {
				return fmt.Errorf("resumed %v behind %d: %s", hello.Resumed, j.last, f.Payload)
			}
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)):
			seq, prev := field(f.Payload, `"seq":`), field(f.Payload, `"prev":`)
			if j.last > 0 && prev != j.last || seq <= prev {
				return fmt.Errorf("%d with prev %d behind %d", seq, prev, j.last)
			}
			if j.messages == 0 && j.asked == 0 && prev != j.head {
				return fmt.Errorf("begins with %d behind %d, and the room was at %d", seq, prev, j.head)
			}
			if j.messages == 0 {
				j.begins = prev
			}
			j.last = seq
			j.messages++
			if seq <= j.head {
				j.history++
			}
			if isLive {
				live++
			}
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"live"`)):
			if seq := field(f.Payload, `"seq":`); j.last > 0 && seq != j.last || seq < j.head {
				return fmt.Errorf("live at %d, after %d; the room was at %d", seq, j.last, j.head)
			}
			all := j.history == 0 && j.head == 0 || j.history > 0 && j.begins == 0 // the room had no more than that
			if j.asked >= 0 && j.history != j.asked && !(all && j.history < j.asked) {
				return fmt.Errorf("%d messages up to %d, want %d", j.history, j.head, j.asked)
			}
			isLive = true
		case bytes.HasPrefix(f.Payload, []byte(`{"type":"gap"`)), f.Code() != 0:
			return fmt.Errorf("at %d: %v", j.last, f)
		case f.First == wire.Fin|wire.Ping:
			conn.Send(wire.Pong, f.Payload)
		}
	}
	return nil
}
