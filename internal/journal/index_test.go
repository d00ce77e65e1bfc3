package journal

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// fill makes an index of rooms with one message each, at its limit.
func fill(rooms int) (*index, func(room string, size int)) {
	x := newIndex(Limits{})
	seq := uint64(0)
	say := func(room string, size int) {
		seq++
		r := x.room(room)
		x.add(r, &hub.Message{Seq: seq, At: 1, Payload: make([]byte, size)}, false)
		x.enforce(r)
	}
	for i := range rooms {
		say(fmt.Sprint(i), 100)
	}
	x.limits.TotalBytes = x.total
	return &x, say
}

// When all rooms together are over their limit, the one that shows most gives.
func TestLargestGives(t *testing.T) {
	x, say := fill(50)
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		name := fmt.Sprint(random.IntN(50))
		if random.IntN(10) == 0 { // one that comes and goes
			x.drop(x.room("passing"))
		}
		largest := 0
		for _, r := range x.rooms {
			largest = max(largest, r.bytes)
		}
		size := random.IntN(1000)
		grown := x.room(name).bytes + size + overhead
		shown := make(map[*room]int)
		for _, r := range x.rooms {
			shown[r] = r.bytes
		}
		say(name, size)
		if x.total > x.limits.TotalBytes {
			t.Fatalf("%d bytes, want at most %d", x.total, x.limits.TotalBytes)
		}
		total := 0
		for _, r := range x.rooms {
			total += r.bytes
			was := shown[r]
			if r.name == name {
				was = grown
			}
			// It gave because it was the largest, and not further than to below all others.
			if r.bytes < was && was+1100+overhead < max(largest, grown) {
				t.Fatalf("room %s of %d bytes gave, and there was one of %d", r.name, was, max(largest, grown))
			}
		}
		if total != x.total {
			t.Fatalf("%d bytes counted, want %d", x.total, total)
		}
	}
}

// BenchmarkTotal is what a message costs in the index when all rooms together are at
// their limit: about the same, however many rooms have ever been used.
func BenchmarkTotal(b *testing.B) {
	for _, rooms := range []int{100, 100_000} {
		b.Run(fmt.Sprint(rooms), func(b *testing.B) {
			_, say := fill(rooms)
			b.ResetTimer()
			for range b.N {
				say("loud", 100)
			}
		})
	}
}
