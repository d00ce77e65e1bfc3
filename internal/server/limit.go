package server

import (
	"math"
	"sync"
	"time"

	"github.com/doyasa/doyasa/internal/config"
)

// A rate lets burst things through at once and perSecond in the long run. The zero rate
// is no limit.
type rate struct {
	perSecond, burst float64
}

// messageRate is what one connection may say, and who posts over HTTP.
func messageRate(l config.Limits) rate {
	return rate{float64(l.MessagesPerSecond), float64(l.Burst)}
}

// Reading history has a rate of its own, for each address: enough for an office that
// comes back after a restart all at once, and for reading all there is, page after page.
var historyRate = rate{perSecond: 500, burst: 1000}

// maxHistoryWait is how long a member's page may have to wait for the rate. Who would
// wait longer is told to come back later.
const maxHistoryWait = 5 * time.Second

// A bucket has a token for whatever a rate lets through. The zero bucket is full. It
// belongs to one goroutine at a time.
type bucket struct {
	spent float64       // tokens taken and not yet refilled
	last  time.Duration // since epoch, when that was so
}

// take takes a token, or tells how long it is until there is one. Without a rate there
// always is.
func (b *bucket) take(r rate, now time.Time) (wait time.Duration, ok bool) {
	return b.reserve(r, now, 0)
}

// reserve takes a token that there is now or will be within patience, and tells how long
// that is. ok is false, and no token taken, if it is longer.
func (b *bucket) reserve(r rate, now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	if r.perSecond == 0 {
		return 0, true
	}
	b.spent = b.left(r, now)
	b.last = now.Sub(epoch)
	if missing := b.spent + 1 - r.burst; missing > 0 {
		wait = time.Duration(missing / r.perSecond * float64(time.Second))
		if wait > patience {
			return wait, false
		}
	}
	b.spent++
	return wait, true
}

// epoch is any moment, from which the others are counted: a Duration never jumps and takes a
// third of the memory of a time.Time.
var epoch = time.Now()

// left is what is not yet refilled.
func (b *bucket) left(r rate, now time.Time) float64 {
	if b.spent == 0 {
		return 0
	}
	return max(0, b.spent-(now.Sub(epoch)-b.last).Seconds()*r.perSecond)
}

// quota limits something for each address by itself. It may be used from any goroutine.
type quota struct {
	rate rate // immutable

	mu      sync.Mutex
	buckets map[network]*bucket // guarded by mu
}

// maxRemembered is how many addresses a quota remembers before those that have been
// quiet are let go.
const maxRemembered = 10_000

func newQuota(r rate) *quota { return &quota{rate: r, buckets: make(map[network]*bucket)} }

// reserve is bucket.reserve on the bucket of an address.
func (q *quota) reserve(from network, now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	if q.rate.perSecond == 0 {
		return 0, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.buckets[from]
	if b == nil {
		if len(q.buckets) >= maxRemembered {
			q.forget(now)
		}
		b = new(bucket)
		q.buckets[from] = b
	}
	return b.reserve(q.rate, now, patience)
}

func (q *quota) take(from network, now time.Time) (wait time.Duration, ok bool) {
	return q.reserve(from, now, 0)
}

// forget lets go of full buckets, and of all if hardly any is: a flood of addresses is not
// worth more memory, nor this search for each of them. Called with mu held.
func (q *quota) forget(now time.Time) {
	for from, b := range q.buckets {
		if b.left(q.rate, now) == 0 {
			delete(q.buckets, from)
		}
	}
	if len(q.buckets) > maxRemembered*9/10 {
		clear(q.buckets)
	}
}

// quotas are the limits of what one address can make the server do.
type quotas struct {
	posts    *quota // messages over HTTP, as if the address were one connection
	messages *quota // over all its connections, and HTTP
	rooms    *quota // made
	history  *quota // pages read, and resumes
}

func newQuotas(l config.Limits) quotas {
	perIP := float64(l.MessagesPerSecondPerIP)
	return quotas{
		posts:    newQuota(messageRate(l)),
		messages: newQuota(rate{perIP, math.Max(perIP, float64(l.Burst))}),
		rooms:    newQuota(rate{float64(l.RoomsPerMinutePerIP) / 60, float64(l.RoomsPerMinutePerIP)}),
		history:  newQuota(historyRate),
	}
}

// token takes one of the connection's tokens and one of its address', or none: then limit is
// the setting that is in the way, for wait.
func (s *session) token(now time.Time) (wait time.Duration, limit string) {
	was := s.bucket
	wait, ok := s.bucket.take(messageRate(s.server.cfg.Limits), now)
	if !ok {
		return wait, "messages_per_second"
	}
	if wait, ok = s.server.quotas.messages.take(s.from().network(), now); !ok {
		s.bucket = was
		return wait, "messages_per_second_per_ip"
	}
	return 0, ""
}
