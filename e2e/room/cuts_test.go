package room_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestCuts: travellers whose connections are cut every 2 to 10 seconds while others say 200 messages a second. Everybody has every
// message once and in the one order. With DOYASA_SOAK set it is 300 travellers for two minutes.
func TestCuts(t *testing.T) {
	doyasa.Long(t)
	travellers, seconds := 30, 10
	if os.Getenv("DOYASA_SOAK") != "" {
		travellers, seconds = 300, 120
	}
	const senders, rate = 4, 200
	each := rate * seconds / senders
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--history-messages", "100000") // whoever is away for long is still resumed

	speakers := make([]*member, senders)
	for i := range speakers {
		m, err := join(s.Addr, "doyasa", true, "&history=0")
		if err != nil {
			t.Fatal(err)
		}
		defer m.conn.Close()
		speakers[i] = m
	}
	guests := make([]*traveller, travellers)
	for i := range guests {
		v := &traveller{addr: s.Addr}
		if err := v.connect(); err != nil {
			t.Fatal(err)
		}
		defer func() { v.conn.Close() }()
		guests[i] = v
	}
	for i, m := range speakers {
		go func() {
			ticker := time.NewTicker(time.Second * senders / rate)
			defer ticker.Stop()
			for j := range each {
				<-ticker.C
				if m.say(words(i, j), "") != nil {
					return // its reader tells why
				}
			}
		}()
	}
	var over atomic.Bool // somebody has failed, so the rest may wait in vain
	parallel(t, travellers+senders, func(i int) (err error) {
		if i < senders {
			err = speakers[i].readUntil(senders * each)
		} else {
			err = guests[i-senders].travel(senders*each, &over)
		}
		if err != nil {
			over.Store(true)
		}
		return err
	})
	if t.Failed() {
		return
	}
	everybody := speakers
	cuts := 0
	for _, v := range guests {
		everybody = append(everybody, &v.member)
		cuts += v.visits - 1
	}
	complete(t, everybody[0].texts, senders, each)
	sameOrder(t, everybody)
	if cuts < travellers {
		t.Errorf("%d cuts for %d travellers: this tests nothing", cuts, travellers)
	}
	t.Logf("%d travellers, %d cuts, %d messages each", travellers, cuts, senders*each)
}

// travel reads until there are that many messages, with a cut every 2 to 10 seconds, or until it is over.
func (v *traveller) travel(messages int, over *atomic.Bool) error {
	for !over.Load() {
		v.conn.SetReadDeadline(time.Now().Add(2*time.Second + rand.N(8*time.Second)))
		for len(v.texts) < messages {
			err := v.step()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return fmt.Errorf("visit %d: %w", v.visits, err)
			}
		}
		if len(v.texts) == messages {
			return nil
		}
		if rand.N(2) == 0 {
			v.conn.SetLinger(0) // a reset instead of an end
		}
		v.conn.Close()
		if err := v.connect(); err != nil {
			return fmt.Errorf("visit %d: %w", v.visits, err)
		}
	}
	return nil
}
