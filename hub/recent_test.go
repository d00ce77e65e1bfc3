package hub

import (
	"encoding/binary"
	"testing"
	"time"
)

// An id is forgotten when it is both older than ten minutes and not among the last
// 100,000, and not before.
func TestRecent(t *testing.T) {
	start := time.UnixMilli(1_764_000_000_000)
	id := func(n int) (id ID) {
		binary.BigEndian.PutUint32(id[:], uint32(n+1))
		return id
	}
	for _, c := range []struct {
		name   string
		ids    int           // published evenly over span
		span   time.Duration // then one more
		forget int           // how many of the first are forgotten
	}{
		{"few and new", 10, time.Minute, 0},
		{"few and old", 1_000, 24 * time.Hour, 0},
		{"exactly 100,000 and old", 99_999, time.Hour, 0},
		{"one more, and old", 100_000, time.Hour, 1},
		{"many and new", 150_000, 10 * time.Minute, 0},
		{"many and old", 150_000, time.Hour, 50_001},
		{"many, some of them new", 250_000, 20 * time.Minute, 125_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s recent
			for n := range c.ids + 1 {
				at := start.Add(c.span * time.Duration(n) / time.Duration(c.ids))
				s.add(Stored{ID: id(n), Seq: uint64(n + 1), Prev: uint64(n), At: at.UnixMilli()}, at)
			}
			for _, n := range []int{0, c.forget - 1, c.forget, c.ids} {
				if n < 0 {
					continue
				}
				was, ok := s.find(id(n))
				if ok != (n >= c.forget) {
					t.Fatalf("id %d of %d known: %v, want the first %d to be forgotten", n, c.ids+1, ok, c.forget)
				}
				if ok && (was.Seq != uint64(n+1) || was.Prev != uint64(n)) {
					t.Fatalf("id %d stored as %+v, want Seq %d", n, was, n+1)
				}
			}
			if len(s.order) != len(s.seen) {
				t.Errorf("%d in order of %d", len(s.order), len(s.seen))
			}
		})
	}
}

// Of one id the first message counts, whatever a journal delivers later.
func TestRecentKeepsTheFirst(t *testing.T) {
	var s recent
	for _, m := range []Stored{{Seq: 5, Prev: 4, At: 1}, {Seq: 9, Prev: 8, At: 2}} {
		if was := s.add(m, time.Now()); was != (Stored{Seq: 5, Prev: 4, At: 1}) {
			t.Errorf("add = %+v, want Seq 5", was)
		}
	}
}
