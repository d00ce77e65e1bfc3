package limit

import (
	"sync"
	"time"
)

// Quotas limit what one address can make the server do, and how fast one connection may say messages.
type Quotas struct {
	Connection Rate   // messages of one connection
	Posts      *Quota // messages over HTTP: an address may post as fast as one connection may say messages
	Messages   *Quota // messages of an address over all its connections and over HTTP
	Rooms      *Quota // rooms created
	History    *Quota // pages read, and resumes
}

// A Quota limits one kind of thing for each address. It may be used from any goroutine.
type Quota struct {
	rate Rate // immutable

	mu      sync.Mutex
	buckets map[Network]*Bucket // guarded by mu
}

// maxRemembered is how many addresses a quota remembers before it drops those whose buckets are full again.
const maxRemembered = 10_000

// NewQuota returns a quota with a bucket of this rate for each address.
func NewQuota(r Rate) *Quota { return &Quota{rate: r, buckets: make(map[Network]*Bucket)} }

// Reserve calls Bucket.Reserve on the bucket of an address.
func (q *Quota) Reserve(from Network, now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	if q.rate.PerSecond == 0 {
		return 0, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.buckets[from]
	if b == nil {
		if len(q.buckets) >= maxRemembered {
			q.forget(now)
		}
		b = new(Bucket)
		q.buckets[from] = b
	}
	return b.Reserve(q.rate, now, patience)
}

// Take calls Bucket.Take on the bucket of an address.
func (q *Quota) Take(from Network, now time.Time) (wait time.Duration, ok bool) {
	return q.Reserve(from, now, 0)
}

// forget drops the buckets that are full again: a new bucket would be in the same state. If most buckets
// are not full, forget drops all of them. Otherwise a flood of addresses would fill the map, and every new
// address would search it again. Called with mu held.
func (q *Quota) forget(now time.Time) {
	for from, b := range q.buckets {
		if b.unfilled(q.rate, now) == 0 {
			delete(q.buckets, from)
		}
	}
	if len(q.buckets) > maxRemembered*9/10 {
		clear(q.buckets)
	}
}
