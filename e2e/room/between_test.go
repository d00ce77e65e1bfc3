package room_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// TestPongsBetweenMessages: members that read by fits and starts while large messages come keep pinging. What is written to them stops
// somewhere inside a message, and still every pong stands between two messages, in the order of the pings, and every message is whole.
func TestPongsBetweenMessages(t *testing.T) {
	doyasa.Long(t)
	const total, pings = 120, 300
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-text-bytes", "64KiB",
		"--limits-slow-timeout", "5m",
		"--limits-pong-timeout", "100ms", "--limits-ping-interval", "10m") // the shorter a timeout, the sooner a write that stands is looked at
	members := gather(t, s, "doyasa", 8, 2)
	sender, readers := members[0], members[1:]
	text := strings.Repeat("どやさ", 6000) // 54 KB: longer than a socket takes at once when it is nearly full
	pace := newPace(len(readers), 40)
	go func() {
		for j := range total {
			pace.wait(int64(j))
			if sender.say(words(0, j)+text, "") != nil || sender.readUntil(j+1) != nil {
				return
			}
		}
	}()
	parallel(t, len(readers), func(i int) error {
		m := readers[i]
		defer pace.done(i)
		pinged, ponged := uint32(0), uint32(0)
		for len(m.texts) < total || ponged < pings {
			if pinged < pings && pinged < ponged+20 {
				// Full-length payloads, so that a pong in the wrong place does damage.
				if err := m.conn.Send(wire.Ping, append(binary.BigEndian.AppendUint32(nil, pinged), make([]byte, 121)...)); err != nil {
					return err
				}
				if pinged++; pinged%5 != 0 {
					continue
				}
				<-time.After(40 * time.Millisecond) // the input is about time: the socket is full and pongs are due
			}
			f, err := m.conn.ReadFrame()
			if err != nil {
				return fmt.Errorf("after %d messages and %d pongs: %w", len(m.texts), ponged, err)
			}
			if f.First == wire.Fin|wire.Pong {
				if n := binary.BigEndian.Uint32(f.Payload); len(f.Payload) != 125 || n != ponged {
					return fmt.Errorf("pong %d of %d bytes, want %d of 125", n, len(f.Payload), ponged)
				}
				ponged++
				continue
			}
			if _, err := m.take(f); err != nil {
				return err
			}
			if n := len(m.texts); n > 0 {
				m.texts[n-1] = strings.TrimSuffix(m.texts[n-1], text)
				pace.read(i, n)
			}
		}
		return m.leave()
	})
	complete(t, readers[0].texts, 1, total)
	sameOrder(t, readers)
}

// TestResumeWhileTheRoomMovesOn: people come back to positions at the far end of history while 8 KB messages push that end, and the
// log behind them, further on. They are brought up to the head without a hole, or told of it.
func TestResumeWhileTheRoomMovesOn(t *testing.T) {
	doyasa.Long(t)
	const kept, people, visits, length = 700, 8, 4, 100
	s := doyasa.StartRace(t, "--limits-messages-per-second", "0", "--limits-text-bytes", "16KiB", "--history-bytes", "64MiB",
		"--history-messages", fmt.Sprint(kept))
	sender, err := join(s.Addr, "doyasa", true, "&history=0")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	text := strings.Repeat("x", 8000) // 700 of them are more than the log's 4 MiB
	speak := func(j int) error {
		sender.say(words(0, j)+text, "")
		err := sender.readUntil(j + 1)
		sender.texts[j] = strings.TrimSuffix(sender.texts[j], text)
		return err
	}
	for j := range kept + 100 {
		if err := speak(j); err != nil {
			t.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan error, 1) // stopped carries the sender's end, once
	go func() {
		for j := len(sender.texts); ; j++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := speak(j); err != nil {
				stopped <- err
				return
			}
		}
	}()
	resumed, trimmed, gaps := make([]int, people), make([]int, people), make([]int, people)
	seen := make([][]*member, people)
	parallel(t, people, func(i int) error {
		head := uint64(kept)
		for visit := range visits {
			m := &member{v1: true}
			var err error
			after := head - kept + 100 + uint64(rand.N(200)) // near the edge of what is kept
			target := fmt.Sprintf("/websocket?room=doyasa&after=%d&epoch=%s", after, sender.hello.Epoch)
			if m.conn, err = wire.Dial(s.Addr, target, subprotocol); err != nil {
				return err
			}
			defer m.conn.Close()
			if _, err = m.next(); err != nil {
				return err
			}
			head = m.hello.Seq
			if m.hello.Resumed {
				resumed[i]++
				m.seq = after
			} else if trimmed[i]++; m.hello.Reason != "trimmed" {
				return fmt.Errorf("visit %d behind %d begins with %+v", visit, after, m.hello)
			}
			first := len(m.texts)
			for until := head + length; m.seq < until; {
				if _, err := m.next(); err != nil {
					return fmt.Errorf("visit %d behind %d, at %d: %w", visit, after, m.seq, err)
				}
				if n := len(m.texts); n > first {
					m.texts[n-1] = strings.TrimSuffix(m.texts[n-1], text)
				}
			}
			gaps[i] += len(m.gaps)
			seen[i] = append(seen[i], m)
			m.conn.Close()
		}
		return nil
	})
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	for i := range people {
		for _, m := range seen[i] {
			if len(m.gaps) > 0 {
				continue // the chain of prev has been checked on both sides of it
			}
			if err := partOf(m.texts, sender.texts); err != nil {
				t.Errorf("person %d: %v", i, err)
			}
		}
	}
	sum := func(n []int) (total int) {
		for _, n := range n {
			total += n
		}
		return
	}
	t.Logf("%d resumed, %d trimmed, %d gaps, %d messages said", sum(resumed), sum(trimmed), sum(gaps), len(sender.texts))
	if sum(resumed) == 0 {
		t.Error("nobody was resumed: this tests nothing")
	}
}
