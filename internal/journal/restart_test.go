package journal

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

func openIn(t *testing.T, dir string, l hub.Limits) *Journal {
	t.Helper()
	j, err := Open(Options{Dir: dir, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func stop(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.Stop(); err != nil {
		t.Fatal(err)
	}
}

// crash returns a copy of a store as a process that is killed now would leave it.
func crash(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// fewer returns how many of something a test takes: fewer when it is to be short.
func fewer(all, short int) int {
	if testing.Short() {
		return short
	}
	return all
}

// say appends n messages, each with an id of its own, and returns them as they came back.
func say(t *testing.T, j *Journal, room string, from, n int) []*hub.Message {
	t.Helper()
	back := make(chan hub.Entry, n) // deliver sends, never closed
	if _, err := j.Open(room, func(e hub.Entry) { back <- e }); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		j.Append(room, message(room, from+i))
	}
	var said []*hub.Message
	for range n {
		e := <-back
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		said = append(said, e.Message)
	}
	return said
}

func message(room string, n int) *hub.Message {
	return &hub.Message{
		At:         time.Now().UnixMilli(),
		ID:         hub.ID{1, byte(n >> 16), byte(n >> 8), byte(n)},
		From:       hub.Author{ID: "a", Name: "Å"},
		Payload:    fmt.Appendf(nil, "%s %d どやさ", room, n),
		Idempotent: true,
	}
}

var all = hub.PageQuery{Limit: 1 << 20}

func page(t *testing.T, j *Journal, room string, q hub.PageQuery) hub.Page {
	t.Helper()
	type answer struct {
		p   hub.Page
		err error
	}
	answers := make(chan answer, 1) // done sends once, never closed
	j.Page(room, q, func(p hub.Page, err error) { answers <- answer{p, err} })
	a := <-answers
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.p
}

// uncache makes the next page read the disk.
func uncache(j *Journal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.rooms {
		for i := range r.kept {
			r.kept[i].message = nil
		}
	}
	j.cache = cache{}
}

// wantLine holds an error to one line that has all parts.
func wantLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if text := err.Error(); !strings.Contains(text, part) || strings.Contains(text, "\n") {
			t.Errorf("%q, want one line with %q", text, part)
		}
	}
}

// After a restart, orderly or not, everything is as it was: messages, chains, epoch, ids.
func TestRestart(t *testing.T) {
	rooms := []string{"r", "部屋-1", "=e3", "a.b *>"}
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %v", killed), func(t *testing.T) {
			dir := t.TempDir()
			limits := hub.Limits{Messages: 100}
			j := openIn(t, dir, limits)
			for i := range 30 { // the rooms take turns, so that the places of one are not consecutive
				for _, r := range rooms {
					say(t, j, r, i*10, 10)
				}
			}
			before := make(map[string]hub.Page)
			ids := make(map[string][]hub.Stored)
			for _, r := range rooms {
				before[r] = page(t, j, r, all)
				o, _ := j.Open(r, func(hub.Entry) {})
				ids[r] = o.Recent
			}
			if killed {
				dir = crash(t, dir)
				defer j.Stop()
			} else {
				stop(t, j)
			}
			j = openIn(t, dir, limits)
			defer stop(t, j)
			for _, r := range rooms {
				got := page(t, j, r, all)
				if len(got.Messages) != 100 || !reflect.DeepEqual(got, before[r]) {
					t.Errorf("room %s: %d messages, first %d, floor %d, head %d; want %d, %d, %d, %d", r, len(got.Messages), got.First, got.Floor,
						got.Head, len(before[r].Messages), before[r].First, before[r].Floor, before[r].Head)
				}
				o, err := j.Open(r, func(hub.Entry) {})
				if err != nil || !reflect.DeepEqual(o.Recent, ids[r]) || len(o.Recent) != 300 {
					t.Errorf("room %s: %d ids known, want %d; %v", r, len(o.Recent), len(ids[r]), err)
				}
				if next := say(t, j, r, 300, 1)[0]; next.Prev != before[r].Head || next.Seq <= next.Prev {
					t.Errorf("room %s: Seq %d, Prev %d after %d", r, next.Seq, next.Prev, before[r].Head)
				}
			}
		})
	}
}

// A room of which everything has grown too old keeps its place in the order, and is empty after a restart, too.
func TestAge(t *testing.T) {
	dir := t.TempDir()
	limits := hub.Limits{MaxAge: time.Hour}
	j := openIn(t, dir, limits)
	last := say(t, j, "r", 0, 10)[9].Seq
	j.mu.Lock()
	for i := range j.rooms["r"].kept {
		j.rooms["r"].kept[i].at -= 2 * time.Hour.Milliseconds()
	}
	j.mu.Unlock()
	if p := page(t, j, "r", all); len(p.Messages) != 0 {
		t.Errorf("a page has %d messages that are too old", len(p.Messages))
	}
	stop(t, j) // stores the trim
	j = openIn(t, dir, hub.Limits{})
	defer stop(t, j)
	if p := page(t, j, "r", all); p.Head != last || p.Floor != last || p.First != 0 {
		t.Errorf("%+v, want an empty room at %d", p, last)
	}
	if m := say(t, j, "r", 10, 1)[0]; m.Prev != last {
		t.Errorf("Prev %d, want %d", m.Prev, last)
	}
}

// What the rooms hold is bounded together, and so is what they take on the disk.
func TestTotal(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
	const total = 1 << 20
	j := openIn(t, t.TempDir(), hub.Limits{TotalBytes: total})
	defer stop(t, j)
	say(t, j, "quiet", 0, 10)
	for i := range fewer(60, 5) {
		say(t, j, "loud", i*1000, 1000)
		say(t, j, "louder", i*1000, 1000)
		if s := j.Stats(); s.Bytes > total {
			t.Fatalf("%+v, want at most %d bytes", s, total)
		}
	}
	if p := page(t, j, "quiet", all); len(p.Messages) != 10 {
		t.Errorf("the quiet room has %d messages left, want its 10", len(p.Messages))
	}
}

// A trim of very many messages at once is stored, and so is what comes after it, also after a restart.
func TestTrimOfManyMessages(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir, hub.Limits{})
	n := fewer(20, 5) * 1000
	for i := 0; i < n; i += 1000 {
		say(t, j, "r", i, 1000)
	}
	stop(t, j)
	j = openIn(t, dir, hub.Limits{Messages: 10})
	say(t, j, "r", n, 1)
	stop(t, j)
	j = openIn(t, dir, hub.Limits{})
	defer stop(t, j)
	if p := page(t, j, "r", all); len(p.Messages) != 10 {
		t.Errorf("%d messages after a trim and a restart, want 10", len(p.Messages))
	}
	o, err := j.Open("r", func(hub.Entry) {})
	if err != nil || len(o.Recent) != n+1 {
		t.Errorf("%d ids known, want all %d; %v", len(o.Recent), n+1, err)
	}
}

// Numbers are times, and a clock that is set back does not make one be given again.
func TestNumbers(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir, hub.Limits{})
	before := uint64(time.Now().UnixMicro())
	first := say(t, j, "r", 0, 1)[0]
	if first.Seq < before || first.Seq > uint64(time.Now().UnixMicro()) {
		t.Errorf("the first message has the number %d, want the time in microseconds, %d", first.Seq, before)
	}
	j.mu.Lock()
	ahead := uint64(time.Now().Add(time.Hour).UnixMicro())
	j.last = ahead // as if the clock had been an hour ahead
	j.mu.Unlock()
	if m := say(t, j, "r", 1, 1)[0]; m.Seq != ahead+1 {
		t.Errorf("number %d after %d", m.Seq, ahead)
	}
	stop(t, j)
	j = openIn(t, dir, hub.Limits{})
	defer stop(t, j)
	if m := say(t, j, "r", 2, 1)[0]; m.Seq <= ahead+1 {
		t.Errorf("number %d after a restart, want more than %d", m.Seq, ahead+1)
	}
}

// A tail that was lost, as with a copy that was put back, does not make a number be given again.
func TestNumbersOfALostTail(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, dir, hub.Limits{})
	say(t, j, "r", 0, 5)
	stop(t, j)
	copied := crash(t, dir)
	j = openIn(t, dir, hub.Limits{})
	given := make(map[uint64]bool)
	for _, m := range say(t, j, "r", 5, 20) {
		given[m.Seq] = true
	}
	stop(t, j)
	j = openIn(t, copied, hub.Limits{})
	defer stop(t, j)
	for _, m := range say(t, j, "r", 100, 20) {
		if given[m.Seq] {
			t.Errorf("number %d is given a second time", m.Seq)
		}
	}
}

// An id that is neither young nor among the last 100,000 of its room is forgotten; and there is a bound for all rooms together.
func TestForget(t *testing.T) {
	j := openIn(t, t.TempDir(), hub.Limits{})
	defer stop(t, j)
	now := time.Now()
	old, young := now.Add(-2*hub.RecentAge).UnixMilli(), now.UnixMilli()
	fill := func(n int, at int64) *room {
		r := &room{name: "x", journal: j}
		for i := range n {
			r.gone = append(r.gone, entry{seq: uint64(i + 1), at: at, id: hub.ID{1}, pos: j.base})
		}
		j.known += n
		return r
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	cases := []struct {
		n    int
		at   int64
		want int
	}{
		{10, old, 10},
		{hub.RecentIDs + 7, old, hub.RecentIDs},
		{hub.RecentIDs + 7, young, hub.RecentIDs + 7},
	}
	for _, c := range cases[:fewer(3, 2)] {
		r := fill(c.n, c.at)
		r.forgetOld(now)
		if len(r.gone) != c.want {
			t.Errorf("%d ids left of %d, want %d", len(r.gone), c.n, c.want)
		}
		j.known -= len(r.gone)
	}
	if testing.Short() {
		return
	}
	a, b := fill(hub.RecentTotal, young), fill(1000, young)
	j.rooms["a"], j.rooms["b"] = a, b
	j.forgetTooMany()
	if len(a.gone)+len(b.gone) > hub.RecentTotal {
		t.Errorf("%d ids of all rooms, want at most %d", len(a.gone)+len(b.gone), hub.RecentTotal)
	}
	delete(j.rooms, "a")
	delete(j.rooms, "b")
	clear(j.due)
}
