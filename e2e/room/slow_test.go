package room_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// post says a text over HTTP.
func post(t testing.TB, addr, room, text string) (stored notice) {
	t.Helper()
	client := http.Client{Timeout: wire.Patience}
	defer client.CloseIdleConnections()
	response, err := client.Post("http://"+addr+"/api/rooms/"+room+"/messages", "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&stored); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("POST: %s, %v", response.Status, err)
	}
	return stored
}

// TestStalledReaders: in a room of 100, five do not read. Everybody else has everything in order, the server's memory stays within
// the bounds of log and history, and the five are closed after slow_timeout, having missed nothing before that. The sender waits for
// the last reader before more is under way than a reader's socket holds, so that no reader is slow only because the machine is busy.
func TestStalledReaders(t *testing.T) {
	const (
		stalled = 5 // the second of them of doyasa.v1
		size    = 8 << 10
		total   = 2000 // 16 MB: four times the log's window
		window  = 12   // messages, 96 KiB: how far the sender goes ahead of the last reader
	)
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-text-bytes", "16KiB", "--limits-slow-timeout", "2s",
		"--history-bytes", "1MiB")
	members := gather(t, s, "doyasa", 100, 20)
	asleep, awake := members[:stalled], members[stalled:]
	for _, m := range awake {
		m.conn.SetReadBuffer(4 * window * size)
	}
	growth := s.WatchRSS(t)
	text := strings.Repeat("どやさ", size/9)
	pace := newPace(len(awake), window)
	go func() {
		for sent := range total {
			pace.wait(int64(sent))
			if err := awake[0].say(words(0, sent)+text, ""); err != nil {
				return // its reader tells
			}
		}
	}()
	parallel(t, len(awake), func(i int) error {
		m := awake[i]
		defer pace.done(i)
		for n := 1; n <= total; n++ {
			if err := m.readUntil(n); err != nil {
				return err
			}
			m.texts[n-1] = strings.TrimSuffix(m.texts[n-1], text) // 16 MB for each is too much
			pace.read(i, n)
		}
		return nil
	})
	if grown := growth(); grown > 64<<20 {
		t.Errorf("the server has grown by %d MiB while %d MiB were said", grown>>20, total*size>>20)
	} else {
		t.Logf("the server has grown by %.1f MiB while %d MiB were said", float64(grown)/(1<<20), total*size>>20)
	}
	complete(t, awake[0].texts, 1, total)
	sameOrder(t, awake)

	waitFor(t, "five lines of slow connections in the log", func() bool { return strings.Count(s.Log(), "slow_timeout") >= stalled })
	for i, m := range asleep {
		var err error
		for err == nil {
			_, err = m.next()
		}
		if errors.Is(err, errClosed) || errors.Is(err, os.ErrDeadlineExceeded) || m.closed != 0 || len(m.texts) >= total {
			t.Errorf("the stalled member %d: %v after %d messages, Close %d; want it cut off", i, err, len(m.texts), m.closed)
		}
		for j := range m.texts {
			m.texts[j] = strings.TrimSuffix(m.texts[j], text)
		}
		if err := partOf(m.texts, awake[0].texts); err != nil {
			t.Errorf("the stalled member %d: %v", i, err)
		}
	}
}

// waitFor asks again and again.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(wire.Patience); !ok(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", wire.Patience, what)
		}
	}
}

// TestOvertaken: members that lag behind the log, though never for long enough to be cut off, are told: a raw one is closed with
// 1013, one of doyasa.v1 hears which messages it has missed and goes on.
func TestOvertaken(t *testing.T) {
	doyasa.Long(t)
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-text-bytes", "64KiB", "--limits-slow-timeout", "1m")
	lagging := gather(t, s, "doyasa", 2, 2)
	sender, err := join(s.Addr, "doyasa", false, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	growth := s.WatchRSS(t)
	const total = 1500 // 90 MB: neither the log nor history may hold that
	text := strings.Repeat("x", 60_000)
	for i := range total {
		sender.say(words(0, i)+text, "")
		if err := sender.readUntil(i + 1); err != nil {
			t.Fatal(err)
		}
		sender.texts[i] = strings.TrimSuffix(sender.texts[i], text)
	}
	if grown := growth(); grown > 64<<20 {
		t.Errorf("the server has grown by %d MiB while %d MiB were said", grown>>20, total*len(text)>>20)
	} else {
		t.Logf("the server has grown by %.1f MiB while %d MiB were said", float64(grown)/(1<<20), total*len(text)>>20)
	}
	raw, v1 := lagging[0], lagging[1]
	if err := raw.readToEnd(); err != nil || raw.closed != 1013 {
		t.Errorf("the raw member: %v, Close %d; want 1013", err, raw.closed)
	}
	for i := range raw.texts {
		raw.texts[i] = strings.TrimSuffix(raw.texts[i], text)
	}
	if err := partOf(raw.texts, sender.texts); err != nil || len(raw.texts) == total {
		t.Errorf("the raw member has %d messages: %v", len(raw.texts), err)
	}
	for v1.seq < total {
		if _, err := v1.next(); err != nil {
			t.Fatalf("after message %d: %v", v1.seq, err)
		}
	}
	missed := 0
	for _, gap := range v1.gaps {
		from, _ := gap.From.(float64)
		missed += int(gap.To) - int(from) + 1
	}
	if missed == 0 || missed+len(v1.texts) != total {
		t.Errorf("the member of doyasa.v1 has %d messages and was told that it missed %d, of %d", len(v1.texts), missed, total)
	}
	t.Logf("raw: %d messages, then 1013; doyasa.v1: %d messages and %d gaps over %d", len(raw.texts), len(v1.texts), len(v1.gaps), missed)
	if err := v1.leave(); err != nil {
		t.Error(err)
	}
}

// TestFlood: a raw sender far over its rate loses nothing and is only read more slowly; neither the sender, whose pongs wait after its
// messages, nor anybody else is cut off.
func TestFlood(t *testing.T) {
	doyasa.Long(t)
	const rate, burst, total = 40, 10, 330 // eight seconds, longer than a ping may stay unanswered
	s := doyasa.Start(t, "--limits-messages-per-second", "40", "--limits-burst", "10",
		"--limits-ping-interval", "4s", "--limits-pong-timeout", "3s")
	members := gather(t, s, "doyasa", 10, 2)
	flooder := members[0]
	var flood []byte
	for j := range total {
		flood = wire.Append(flood, wire.Fin|wire.Text, flooder.saying(words(0, j), ""))
	}
	since := time.Now()
	go flooder.conn.Write(flood)
	parallel(t, len(members), func(i int) error { return members[i].readUntil(total) })
	if took, least := time.Since(since), time.Second*(total-burst)/rate; took < least {
		t.Errorf("%d messages took %v, want at least %v at the rate", total, took, least)
	}
	complete(t, flooder.texts, 1, total)
	sameOrder(t, members)
	parallel(t, len(members), func(i int) error { return members[i].leave() })
}
