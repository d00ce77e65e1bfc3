package limit

import "time"

// A Rate allows Burst things at once, and PerSecond in the long run. The zero Rate is unlimited.
type Rate struct {
	PerSecond, Burst float64
}

// A Bucket holds the tokens of a Rate. Each thing that is allowed takes one token. The zero Bucket is full.
// Only one goroutine at a time may use a Bucket.
type Bucket struct {
	spent float64       // tokens that were taken and not refilled by the time last
	last  time.Duration // when spent was computed, as the time since reference
}

// Take takes a token, or returns how long it takes until there is one. If the rate is unlimited, there is
// always one.
func (b *Bucket) Take(r Rate, now time.Time) (wait time.Duration, ok bool) {
	return b.Reserve(r, now, 0)
}

// Reserve takes a token that is there now or will be there within patience, and returns how long that
// takes. If it would take longer, ok is false and no token is taken.
func (b *Bucket) Reserve(r Rate, now time.Time, patience time.Duration) (wait time.Duration, ok bool) {
	if r.PerSecond == 0 {
		return 0, true
	}
	b.spent = b.unfilled(r, now)
	b.last = now.Sub(reference)
	if missing := b.spent + 1 - r.Burst; missing > 0 {
		wait = time.Duration(missing / r.PerSecond * float64(time.Second))
		if wait > patience {
			return wait, false
		}
	}
	b.spent++
	return wait, true
}

// reference is the time from which a Bucket counts. So it can store a monotonic time as a Duration, which
// takes 8 bytes instead of 24.
var reference = time.Now()

// unfilled returns how many tokens are missing until the bucket is full.
func (b *Bucket) unfilled(r Rate, now time.Time) float64 {
	if b.spent == 0 {
		return 0
	}
	return max(0, b.spent-(now.Sub(reference)-b.last).Seconds()*r.PerSecond)
}
