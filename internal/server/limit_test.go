package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/doyasa/doyasa/internal/config"
)

func TestBucket(t *testing.T) {
	l := config.Limits{MessagesPerSecond: 10, Burst: 20}
	var b bucket
	now := time.Unix(1000, 0)
	for i := range 20 {
		if _, ok := b.take(l, now); !ok {
			t.Fatalf("token %d of a full bucket was refused", i+1)
		}
	}
	if wait, ok := b.take(l, now); ok || wait != 100*time.Millisecond {
		t.Errorf("token 21 = %v, %v, want in 100 ms", wait, ok)
	}
	if wait, ok := b.take(l, now.Add(30*time.Millisecond)); ok || wait.Round(time.Microsecond) != 70*time.Millisecond {
		t.Errorf("token 21 after 30 ms = %v, %v, want in 70 ms: asking costs nothing", wait, ok)
	}
	if _, ok := b.take(l, now.Add(101*time.Millisecond)); !ok {
		t.Error("token 21 after 101 ms was refused")
	}
	taken := 0
	for i := range 10_000 { // ten seconds of asking every millisecond
		if _, ok := b.take(l, now.Add(101*time.Millisecond+time.Duration(i+1)*time.Millisecond)); ok {
			taken++
		}
	}
	if taken < 99 || taken > 101 {
		t.Errorf("%d tokens in ten seconds, want 100", taken)
	}
	later := now.Add(time.Hour)
	taken = 0
	for {
		if _, ok := b.take(l, later); !ok {
			break
		}
		taken++
	}
	if taken != 20 {
		t.Errorf("%d tokens after an hour, want no more than the burst of 20", taken)
	}
	if _, ok := b.take(l, later.Add(-time.Hour)); ok {
		t.Error("a clock that goes back gives tokens")
	}
	for range 100 {
		if _, ok := b.take(config.Limits{Burst: 1}, later); !ok {
			t.Fatal("without a rate there is always a token")
		}
	}
}

// Addresses are limited one by one, and a flood of them is not remembered.
func TestPosters(t *testing.T) {
	p := newPosters(config.Limits{MessagesPerSecond: 1, Burst: 1})
	now := time.Unix(1000, 0)
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if _, ok := p.take(one, now); !ok {
		t.Error("the first was refused")
	}
	if wait, ok := p.take(one, now); ok || wait != time.Second {
		t.Errorf("the second = %v, %v, want in 1 s", wait, ok)
	}
	if _, ok := p.take(two, now); !ok {
		t.Error("another address was refused")
	}
	most := 0
	for i := range 3 * maxPosters {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		p.take(addr, now.Add(time.Duration(i)*time.Microsecond))
		most = max(most, len(p.buckets))
	}
	if most > maxPosters {
		t.Errorf("%d addresses remembered, want at most %d", most, maxPosters)
	}
	// Those that are quiet go first.
	p = newPosters(config.Limits{MessagesPerSecond: 1, Burst: 1})
	for i := range maxPosters - 1 {
		p.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	later := now.Add(10 * time.Second)
	p.take(one, later)
	p.take(two, later)
	if _, ok := p.take(one, later); ok || len(p.buckets) != 2 {
		t.Errorf("one of the %d left was forgotten although it had spent its token", len(p.buckets))
	}
}
