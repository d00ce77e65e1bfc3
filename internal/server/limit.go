package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/doyasa/doyasa/internal/config"
)

// A bucket lets burst messages through at once and perSecond in the long run. The zero
// bucket is full. It belongs to one goroutine at a time.
type bucket struct {
	spent float64 // tokens taken and not yet refilled
	last  time.Time
}

// take takes a token, or tells how long it is until there is one. Without a rate there
// always is.
func (b *bucket) take(l config.Limits, now time.Time) (wait time.Duration, ok bool) {
	if l.MessagesPerSecond == 0 {
		return 0, true
	}
	rate := float64(l.MessagesPerSecond)
	b.spent = max(0, b.spent-now.Sub(b.last).Seconds()*rate)
	b.last = now
	if missing := b.spent + 1 - float64(l.Burst); missing > 0 {
		return time.Duration(missing / rate * float64(time.Second)), false
	}
	b.spent++
	return 0, true
}

// posters limits those who post over HTTP, each address as if it were a connection.
type posters struct {
	limits config.Limits // immutable

	mu      sync.Mutex
	buckets map[netip.Addr]*bucket // guarded by mu
}

// maxPosters is how many addresses are remembered before those that have been quiet
// are let go.
const maxPosters = 10_000

func newPosters(l config.Limits) *posters {
	return &posters{limits: l, buckets: make(map[netip.Addr]*bucket)}
}

func (p *posters) take(addr netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[addr]
	if b == nil {
		if len(p.buckets) >= maxPosters {
			p.forget(now)
		}
		b = new(bucket)
		p.buckets[addr] = b
	}
	return b.take(p.limits, now)
}

// forget lets go of full buckets, and of all if none is: a flood of addresses is not
// worth more memory. Called with mu held.
func (p *posters) forget(now time.Time) {
	for addr, b := range p.buckets {
		if b.spent <= now.Sub(b.last).Seconds()*float64(p.limits.MessagesPerSecond) {
			delete(p.buckets, addr)
		}
	}
	if len(p.buckets) >= maxPosters {
		clear(p.buckets)
	}
}
