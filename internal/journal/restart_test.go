package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

func openIn(t *testing.T, o Options) *Journal {
	t.Helper()
	j, err := OpenEmbedded(o)
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

// say appends n messages, each with an id of its own, and returns them as they came back.
func say(t *testing.T, j *Journal, room string, from, n int) []*hub.Message {
	t.Helper()
	back := make(chan hub.Entry, n) // deliver sends, never closed
	if _, err := j.Open(room, func(e hub.Entry) { back <- e }); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		j.Append(room, &hub.Message{
			At:         time.Now().UnixMilli(),
			ID:         hub.ID{1, byte((from + i) >> 16), byte((from + i) >> 8), byte(from + i)},
			From:       hub.Author{ID: "a", Name: "Å"},
			Payload:    fmt.Appendf(nil, "%s %d どやさ", room, from+i),
			Idempotent: true,
		})
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

var all = hub.PageQuery{Limit: 1 << 20}

// stored counts what stands in the stream under a subject.
func stored(t *testing.T, j *Journal, subject string) (n uint64) {
	t.Helper()
	s, err := j.js.Stream(context.Background(), j.stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(context.Background(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Subjects[subject]
}

// After a restart, orderly or not, everything is as it was: messages, chains, epoch, ids.
func TestRestart(t *testing.T) {
	rooms := []string{"r", "部屋-1", "=e3", "a.b *>"}
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %v", killed), func(t *testing.T) {
			dir := t.TempDir()
			j := openIn(t, Options{Dir: dir, Limits: Limits{Messages: 100}})
			for i := range 30 { // the rooms take turns, so their numbers are not consecutive
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
			j = openIn(t, Options{Dir: dir, Limits: Limits{Messages: 100}})
			defer stop(t, j)
			for _, r := range rooms {
				got := page(t, j, r, all)
				if len(got.Messages) != 100 || !reflect.DeepEqual(got, before[r]) {
					t.Errorf("room %s: %d messages, first %d, floor %d, head %d; want %d, %d, %d, %d", r, len(got.Messages), got.First, got.Floor,
						got.Head, len(before[r].Messages), before[r].First, before[r].Floor, before[r].Head)
				}
				if got.Messages[0].Prev != got.Floor {
					t.Errorf("room %s: the oldest message's Prev is %d, want the floor %d", r, got.Messages[0].Prev, got.Floor)
				}
				o, err := j.Open(r, func(hub.Entry) {})
				if err != nil || !reflect.DeepEqual(o.Recent, ids[r]) || len(o.Recent) != 300 {
					t.Errorf("room %s: %d ids known, want %d; %v", r, len(o.Recent), len(ids[r]), err)
				}
				if next := say(t, j, r, 300, 1)[0]; next.Prev != before[r].Head || next.Seq <= next.Prev {
					t.Errorf("room %s: Seq %d, Prev %d behind %d", r, next.Seq, next.Prev, before[r].Head)
				}
			}
		})
	}
}

// Whatever step of a trim is the last one, the room that comes back is the same.
func TestCrashWithinTrim(t *testing.T) {
	dir := t.TempDir()
	limits := Limits{Messages: 50}
	j := openIn(t, Options{Dir: dir, Limits: limits})
	defer j.Stop()
	say(t, j, "r", 0, 110) // hides 60, too few to trim
	j.mu.Lock()
	r := j.index.rooms["r"]
	plan := r.planTrim()
	hidden := r.hidden
	j.mu.Unlock()
	if hidden != 60 {
		t.Fatalf("%d hidden, want 60", hidden)
	}
	want := page(t, j, "r", all)
	check := func(step string, kept uint64) {
		t.Helper()
		k := openIn(t, Options{Dir: crash(t, dir), Limits: limits})
		defer stop(t, k)
		if got := page(t, k, "r", all); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: first %d, floor %d, %d messages; want %d, %d, %d", step, got.First, got.Floor, len(got.Messages), want.First, want.Floor, len(want.Messages))
		}
		if n := stored(t, k, messageSubject("r")); n != kept {
			t.Errorf("%s: %d messages in the stream, want %d", step, n, kept)
		}
		o, _ := k.Open("r", func(hub.Entry) {})
		if len(o.Recent) != 110 {
			t.Errorf("%s: %d ids known, want 110", step, len(o.Recent))
		}
	}
	check("before", 110)
	if err := j.append([]record{{trimSubject("r"), appendTrim(nil, "r", plan)}}); err != nil {
		t.Fatal(err)
	}
	check("recorded", 110)
	j.purge(messageSubject("r"), plan.floor-20)
	check("half purged", 70)
	j.purge(messageSubject("r"), plan.floor)
	check("purged", 50)
}

// A room of which everything has grown too old keeps its place in the order, and no
// word of it stays on disk.
func TestAge(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Limits: Limits{MaxAge: time.Hour}}
	j := openIn(t, o)
	last := say(t, j, "r", 0, 10)[9].Seq
	j.mu.Lock()
	for i := range j.index.rooms["r"].kept {
		j.index.rooms["r"].kept[i].at -= 2 * time.Hour.Milliseconds()
	}
	j.mu.Unlock()
	j.clean()
	if n := stored(t, j, messageSubject("r")); n != 0 {
		t.Errorf("%d old messages on disk, want none", n)
	}
	stop(t, j)
	j = openIn(t, o)
	defer stop(t, j)
	if p := page(t, j, "r", all); p.Head != last || p.Floor != last || p.First != 0 {
		t.Errorf("%+v, want an empty room at %d", p, last)
	}
	if m := say(t, j, "r", 10, 1)[0]; m.Prev != last {
		t.Errorf("Prev %d, want %d", m.Prev, last)
	}
}

// What the rooms hold is bounded together, and what they take on disk as well.
func TestTotal(t *testing.T) {
	const total = 1 << 20
	j := openIn(t, Options{Dir: t.TempDir(), Sync: time.Hour, Limits: Limits{TotalBytes: total}})
	defer stop(t, j)
	say(t, j, "quiet", 0, 10)
	for i := range 40 {
		say(t, j, "loud", i*1000, 1000)
		say(t, j, "louder", i*1000, 1000)
		if s := j.Stats(); s.Bytes > total || s.DiskBytes > 32*total {
			t.Fatalf("%+v, want at most %d bytes", s, total)
		}
	}
	if p := page(t, j, "quiet", all); len(p.Messages) != 10 {
		t.Errorf("the quiet room has %d messages left, want its 10", len(p.Messages))
	}
	t.Logf("%+v", j.Stats())
}

// An id that is neither young nor among the last 100,000 of its room is forgotten, on
// disk as well; one that is, is not.
func TestForget(t *testing.T) {
	now := time.Now()
	old := now.Add(-2 * hub.RecentAge).UnixMilli()
	gone := func(n int, at int64) []hub.Stored { return slices.Repeat([]hub.Stored{{At: at}}, n) }
	for _, c := range []struct {
		name  string
		trims []trimmed
		want  uint64
	}{
		{"few and old", []trimmed{{1, gone(10, old)}, {2, gone(10, old)}}, 0},
		{"many and old", []trimmed{{1, gone(10, old)}, {2, gone(10, old)}, {3, gone(hub.RecentIDs, old)}}, 2},
		{"just as many", []trimmed{{1, gone(10, old)}, {2, gone(hub.RecentIDs-1, old)}}, 0},
		{"many and young", []trimmed{{1, gone(10, now.UnixMilli())}, {2, gone(hub.RecentIDs, now.UnixMilli())}}, 0},
		{"the newest has the floor", []trimmed{{1, gone(2*hub.RecentIDs, old)}}, 0},
	} {
		r := &room{trims: c.trims}
		if got := r.forget(now); got != c.want {
			t.Errorf("%s: forgets up to %d, want %d", c.name, got, c.want)
		}
	}
}

// The options of an embedded server that would be ignored without a word.
func TestServerOptions(t *testing.T) {
	j := openIn(t, Options{Dir: filepath.Join(t.TempDir(), "data"), Sync: 7 * time.Second, MessageBytes: 2 << 20})
	defer stop(t, j)
	e := j.store.(*embedded)
	c := e.server.JetStreamConfig()
	if c.MaxStore != 1<<50 || c.MaxMemory != 1<<20 || c.SyncInterval != 7*time.Second || c.SyncAlways {
		t.Errorf("%+v", c)
	}
	if e.server.Addr() != nil {
		t.Errorf("the embedded server listens on %v", e.server.Addr())
	}
	if got := j.nc.MaxPayload(); got < 2<<20 {
		t.Errorf("MaxPayload %d, want at least a message of 2 MiB", got)
	}
	if info, err := os.Stat(e.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v: others can read it", info.Mode(), err)
	}
}

// A message that no record can hold is refused by itself; what is around it is stored.
func TestTooLarge(t *testing.T) {
	j := openIn(t, Options{Dir: t.TempDir(), MessageBytes: 1000})
	defer stop(t, j)
	back := make(chan hub.Entry, 5) // deliver sends, never closed
	if _, err := j.Open("r", func(e hub.Entry) { back <- e }); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, 1000, 100_000, 10, 100_000} {
		j.Append("r", &hub.Message{Payload: make([]byte, size), At: 1})
	}
	for range 5 {
		if e := <-back; (e.Err != nil) != (len(e.Message.Payload) == 100_000) {
			t.Errorf("%d bytes: %v", len(e.Message.Payload), e.Err)
		}
	}
}
