package limit

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	l := Rate{10, 20}
	var b Bucket
	now := time.Unix(1000, 0)
	for i := range 20 {
		if _, ok := b.Take(l, now); !ok {
			t.Fatalf("token %d of a full bucket was refused", i+1)
		}
	}
	if wait, ok := b.Take(l, now); ok || wait != 100*time.Millisecond {
		t.Errorf("token 21 = %v, %v, want in 100 ms", wait, ok)
	}
	if wait, ok := b.Take(l, now.Add(30*time.Millisecond)); ok || wait.Round(time.Microsecond) != 70*time.Millisecond {
		t.Errorf("token 21 after 30 ms = %v, %v, want in 70 ms: asking costs nothing", wait, ok)
	}
	if _, ok := b.Take(l, now.Add(101*time.Millisecond)); !ok {
		t.Error("token 21 after 101 ms was refused")
	}
	taken := 0
	for i := range 10_000 { // ten seconds, with one try every millisecond
		if _, ok := b.Take(l, now.Add(101*time.Millisecond+time.Duration(i+1)*time.Millisecond)); ok {
			taken++
		}
	}
	if taken < 99 || taken > 101 {
		t.Errorf("%d tokens in ten seconds, want 100", taken)
	}
	later := now.Add(time.Hour)
	taken = 0
	for {
		if _, ok := b.Take(l, later); !ok {
			break
		}
		taken++
	}
	if taken != 20 {
		t.Errorf("%d tokens after an hour, want no more than the burst of 20", taken)
	}
	if _, ok := b.Take(l, later.Add(-time.Hour)); ok {
		t.Error("a clock that goes back gives tokens")
	}
	for range 100 {
		if _, ok := b.Take(Rate{Burst: 1}, later); !ok {
			t.Fatal("without a rate there is always a token")
		}
	}
}

// A token may be reserved for later, if that is within the patience.
func TestReserve(t *testing.T) {
	var b Bucket
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 0, 500 * time.Millisecond, time.Second} {
		if wait, ok := b.Reserve(Rate{2, 2}, now, time.Second); !ok || wait != want {
			t.Errorf("token %d = %v, %v, want in %v", i+1, wait, ok, want)
		}
	}
	for range 3 {
		if wait, ok := b.Reserve(Rate{2, 2}, now, time.Second); ok || wait != 1500*time.Millisecond {
			t.Errorf("token 5 = %v, %v, want refused: in 1.5 s", wait, ok)
		}
	}
	if wait, ok := b.Reserve(Rate{2, 2}, now.Add(500*time.Millisecond), time.Second); !ok || wait != time.Second {
		t.Errorf("token 5 half a second later = %v, %v, want in 1 s", wait, ok)
	}
}

// Each address is limited on its own, and a flood of addresses is not remembered.
func TestQuota(t *testing.T) {
	q := NewQuota(Rate{1, 1})
	now := time.Unix(1000, 0)
	one, two := Network(1), Network(2)
	if _, ok := q.Take(one, now); !ok {
		t.Error("the first was refused")
	}
	if wait, ok := q.Take(one, now); ok || wait != time.Second {
		t.Errorf("the second = %v, %v, want in 1 s", wait, ok)
	}
	if _, ok := q.Take(two, now); !ok {
		t.Error("another address was refused")
	}
	most := 0
	for i := range 3 * maxRemembered {
		q.Take(Network(i+10), now.Add(time.Duration(i)*time.Microsecond))
		most = max(most, len(q.buckets))
	}
	if most > maxRemembered {
		t.Errorf("%d addresses remembered, want at most %d", most, maxRemembered)
	}
	// The search for full buckets takes a while, so it must find many.
	q, full := NewQuota(Rate{1, 1}), 0
	for i := range 3 * maxRemembered {
		if len(q.buckets) == maxRemembered {
			full++
		}
		q.Take(Network(i+10), now.Add(time.Duration(i)*time.Second/maxRemembered))
	}
	if full > 3 {
		t.Errorf("all addresses were looked at %d times, want about once for %d", full, maxRemembered)
	}
	// Full buckets are forgotten first.
	q = NewQuota(Rate{1, 1})
	for i := range maxRemembered - 1 {
		q.Take(Network(i+10), now)
	}
	later := now.Add(10 * time.Second)
	q.Take(one, later)
	q.Take(two, later)
	if _, ok := q.Take(one, later); ok || len(q.buckets) != 2 {
		t.Errorf("one of the %d left was forgotten although it had spent its token", len(q.buckets))
	}
}
