package hub

import (
	"encoding/binary"
	"testing"
	"time"
)

// numberID is the id of message n.
func numberID(n int) (id ID) {
	binary.BigEndian.PutUint32(id[:], uint32(n+1))
	return id
}

// An id is forgotten when it is both older than ten minutes and not among the last
// 100,000, and not before.
func TestRecent(t *testing.T) {
	start := time.UnixMilli(1_764_000_000_000)
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
			all := &recents{limit: RecentTotal}
			s := &recent{all: all}
			for n := range c.ids + 1 {
				at := start.Add(c.span * time.Duration(n) / time.Duration(c.ids))
				s.add(Stored{ID: numberID(n), Seq: uint64(n + 1), Prev: uint64(n), At: at.UnixMilli()})
				s.forget(at)
			}
			for _, n := range []int{0, c.forget - 1, c.forget, c.ids} {
				if n < 0 {
					continue
				}
				was, ok := s.find(numberID(n))
				if ok != (n >= c.forget) {
					t.Fatalf("id %d of %d known: %v, want the first %d to be forgotten", n, c.ids+1, ok, c.forget)
				}
				if ok && (was.Seq != uint64(n+1) || was.Prev != uint64(n)) {
					t.Fatalf("id %d stored as %+v, want Seq %d", n, was, n+1)
				}
			}
			if total, early := all.held(); len(s.order) != len(s.seen) || len(s.order) != total || early != 0 {
				t.Errorf("%d in order of %d, of %d in all, %d forgotten early", len(s.order), len(s.seen), total, early)
			}
		})
	}
}

// Of one id the first message counts, whatever a journal delivers later.
func TestRecentKeepsTheFirst(t *testing.T) {
	s := recent{all: new(recents)}
	for _, m := range []Stored{{Seq: 5, Prev: 4, At: 1}, {Seq: 9, Prev: 8, At: 2}} {
		if was := s.add(m); was != (Stored{Seq: 5, Prev: 4, At: 1}) {
			t.Errorf("add = %+v, want Seq 5", was)
		}
	}
}

// In all rooms together the oldest ids go first, once there are more than 350,000 of them,
// and the ids that a room would still have remembered are counted. A room that ends takes
// its ids along.
func TestRecentOfAllRooms(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
	start := time.UnixMilli(1_764_000_000_000)
	all := &recents{limit: RecentTotal}
	quiet, loud, late := &recent{all: all}, &recent{all: all}, &recent{all: all}
	next := 0
	say := func(r *recent, n int) (first int) {
		first = next
		for range n {
			next++
			at := start.Add(time.Duration(next) * time.Millisecond)
			r.add(Stored{ID: numberID(next - 1), At: at.UnixMilli()})
			r.forget(at)
		}
		return first
	}
	knows := func(r *recent, id int, want bool) {
		t.Helper()
		if _, known := r.find(numberID(id)); known != want {
			t.Errorf("id %d known: %v, want %v", id, known, want)
		}
	}
	ofQuiet := say(quiet, 1_000)
	ofLoud := say(loud, 300_000)
	ofLate := say(late, 49_000)
	knows(quiet, ofQuiet, true) // 350,000 in all
	say(late, 1)
	knows(quiet, ofQuiet, false)
	knows(quiet, ofQuiet+1, true)
	say(loud, 999)
	if !quiet.empty() {
		t.Error("the quiet room still remembers ids")
	}
	say(loud, 10)
	knows(loud, ofLoud+9, false)
	knows(loud, ofLoud+10, true)
	knows(late, ofLate, true)
	if total, early := all.held(); total != RecentTotal || early != 1_010 {
		t.Errorf("%d ids, %d forgotten early, want %d and 1010", total, early, RecentTotal)
	}

	// Ids of a durable room that is opened again are as old as they are: they go before
	// the ids of rooms that have stored something since.
	old := quiet
	for n := range 100 {
		old.add(Stored{ID: numberID(n), At: start.UnixMilli()})
	}
	old.forget(start.Add(time.Duration(next) * time.Millisecond))
	if !old.empty() {
		t.Error("a room that was opened again has pushed out younger ids")
	}

	loud.forgetAll()
	say(quiet, 1)
	if total, _ := all.held(); total != 49_001+1 {
		t.Errorf("%d ids without the loud room, want %d", total, 49_001+1)
	}
	if len(all.rooms) != 2 {
		t.Errorf("%d rooms with ids, want 2", len(all.rooms))
	}

	// What a room would have forgotten at its next message is not early.
	old = &recent{all: all}
	for n := range RecentIDs + 300_000 {
		old.add(Stored{ID: numberID(1_000_000 + n), At: start.UnixMilli()})
	}
	_, before := all.held()
	late.forget(start.Add(time.Hour))
	if total, early := all.held(); total != RecentTotal || early != before {
		t.Errorf("%d ids, %d forgotten early, want %d and %d", total, early, RecentTotal, before)
	}
}

// A room that has been pushed out gives its memory back.
func TestRecentShrinks(t *testing.T) {
	all := &recents{limit: 1_000}
	s := &recent{all: all}
	for n := range 1_000 {
		s.add(Stored{ID: numberID(n), At: int64(n)})
	}
	other := &recent{all: all}
	for n := range 900 {
		other.add(Stored{ID: numberID(n), At: 1_000})
	}
	other.forget(time.Now())
	if len(s.order) != 100 || s.most > 250 || cap(s.order) > 300 {
		t.Errorf("%d ids in space for %d, %d at most, want 100 in at most 300", len(s.order), cap(s.order), s.most)
	}
	for n := range 100 {
		if _, known := s.find(numberID(900 + n)); !known {
			t.Fatalf("id %d is not known any more", 900+n)
		}
	}
}
