package journal

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// memoryFolder returns a folder in memory, where syncing costs nothing, if there is one.
func memoryFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "doyasa-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// store writes records into a new folder, each in a segment of its own.
func store(t *testing.T, records ...record) (dir string) {
	t.Helper()
	dir = memoryFolder(t)
	l := seglog.New(dir, 1)
	if err := l.Load(func(seglog.Pos, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if _, err := l.Commit([][]byte{appendRecord(nil, rec)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A segment may be rewritten before the one before it: then the text of an older message is still on the disk while of a newer one
// only the id is left. The ids are in their order all the same, so that each is found.
func TestOlderTextsAreLeft(t *testing.T) {
	records := []record{{kind: kindBase, seq: 1, epoch: "e"}}
	var ids []hub.ID
	for n := range 6 {
		m := message("r", n)
		m.Seq, m.Prev = uint64(10+n), uint64(10+n-1)
		if n == 0 {
			m.Prev = 0
		}
		rec := record{kind: kindMessage, seq: m.Seq, room: "r", message: m}
		if n == 1 || n == 3 {
			rec.kind = kindKnown
		}
		records = append(records, rec)
		ids = append(ids, m.ID)
	}
	records = append(records, record{kind: kindTrim, seq: 20, room: "r", floor: 14})
	j := openIn(t, store(t, records...), hub.Limits{})
	defer stop(t, j)
	o, err := j.Open("r", func(hub.Entry) {})
	if err != nil {
		t.Fatal(err)
	}
	var got []hub.ID
	for _, s := range o.Recent {
		got = append(got, s.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("the ids are %v, want %v", got, ids)
	}
	if p := page(t, j, "r", all); len(p.Messages) != 1 || p.Floor != 14 || p.Head != 15 {
		t.Errorf("%d messages after %d up to %d, want 1 after 14 up to 15", len(p.Messages), p.Floor, p.Head)
	}
}

// What is only waiting for a trim to be stored is not rewritten again and again: the keeper comes to an end.
func TestRewritingEnds(t *testing.T) {
	long := "部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋部屋"
	for _, room := range []string{"r", long} {
		for _, isPlain := range []bool{false, true} {
			for _, n := range []int{40, 100} { // before the first trim, and after some
				t.Run(fmt.Sprintf("%d in %.6s plain %v", n, room, isPlain), func(t *testing.T) {
					dir := memoryFolder(t)
					o := Options{Dir: dir, Limits: hub.Limits{Messages: 3}, SegmentBytes: 4096}
					for range 2 {
						j := newJournal(o)
						if err := j.open(); err != nil {
							t.Fatal(err)
						}
						commitMessages(t, j, room, n, isPlain)
						rewriteAll(t, j)
						if err := j.close(); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// What is over a limit stays on the disk until a trim is stored that says so, whatever is rewritten: a restart would miss it.
func TestHiddenStaysOnTheDisk(t *testing.T) {
	o := Options{Dir: memoryFolder(t), Limits: hub.Limits{Messages: 3}, SegmentBytes: 1}
	j := newJournal(o)
	if err := j.open(); err != nil {
		t.Fatal(err)
	}
	commitMessages(t, j, "r", trimAfter/2, true)
	for _, e := range j.rooms["r"].hidden {
		j.log.Free(e.pos, e.pos.Bytes()) // so that the log takes it for mostly dead
	}
	if done, err := j.log.Rewrite(keeper{j}); !done || err != nil {
		t.Fatal(done, err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	j = openIn(t, o.Dir, hub.Limits{})
	defer stop(t, j)
	if p := page(t, j, "r", all); len(p.Messages) != trimAfter/2 {
		t.Errorf("%d messages after a restart without limits, want all %d", len(p.Messages), trimAfter/2)
	}
}

// commitMessages stores messages without the goroutine of the writer.
func commitMessages(t *testing.T, j *Journal, room string, n int, isPlain bool) {
	t.Helper()
	r := j.room(room)
	from := len(r.recent())
	for i := range n {
		m := message(room, from+i)
		if isPlain {
			m.ID, m.Idempotent = hub.ID{}, false
		}
		records, err := j.number([]queued{{r, m}})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.commit(records); err != nil {
			t.Fatal(err)
		}
	}
}

// rewriteAll does what the keeper does.
func rewriteAll(t *testing.T, j *Journal) {
	t.Helper()
	for n := 0; ; n++ {
		done, err := j.log.Rewrite(keeper{j})
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			return
		}
		if n > 100 {
			t.Fatal("segments are rewritten for ever")
		}
	}
}
