package journal

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// spy is a store that tells of each sync before it is done.
type spy struct {
	store
	before func()
}

func (s *spy) sync() error {
	s.before()
	return s.store.sync()
}

// idle opens a store whose goroutines do not run: the test is the writer.
func idle(t *testing.T, o Options) *Journal {
	t.Helper()
	o.Dir = t.TempDir()
	j, damaged, err := openEmbedded(o)
	if err != nil || len(damaged) > 0 {
		t.Fatal(err, damaged)
	}
	t.Cleanup(func() {
		j.nc.Close()
		if err := j.store.close(0); err != nil {
			t.Error(err)
		}
	})
	return j
}

// A trim is on disk before anything is purged, also where messages are synced later: a
// power cut between the two would leave a hole that nothing accounts for.
func TestTrimIsSynced(t *testing.T) {
	j := idle(t, Options{Sync: time.Hour, Limits: Limits{Messages: 10}})
	if _, err := j.Open("r", func(hub.Entry) {}); err != nil {
		t.Fatal(err)
	}
	var syncs, trims, messages uint64
	j.store = &spy{j.store, func() {
		syncs++
		trims, messages = stored(t, j, trimSubject("r")), stored(t, j, messageSubject("r"))
	}}
	for range 80 {
		j.Append("r", &hub.Message{At: time.Now().UnixMilli(), Payload: []byte("x")})
	}
	for j.writeBatch(j.take()) {
	}
	if syncs != 1 || trims != 1 || messages != 80 {
		t.Errorf("%d syncs, the last with %d trims and %d messages stored; want 1 with 1 and 80", syncs, trims, messages)
	}
	if n := stored(t, j, messageSubject("r")); n != 10 {
		t.Errorf("%d messages left, want 10", n)
	}
}

// Who says something while the janitor is at very many rooms does not wait for all of them.
func TestJanitorLetsOthersBy(t *testing.T) {
	const rooms = 3000 // more than may be under way at once
	j := idle(t, Options{Sync: time.Hour, Limits: Limits{MaxAge: time.Hour}})
	var back atomic.Int64
	say := func(room string, at time.Time) {
		if _, err := j.Open(room, func(hub.Entry) { back.Add(1) }); err != nil {
			t.Fatal(err)
		}
		j.Append(room, &hub.Message{At: at.UnixMilli(), Payload: []byte("x")})
	}
	for i := range rooms {
		say(fmt.Sprint(i), time.Now())
	}
	for j.writeBatch(j.take()) {
	}
	for _, r := range j.index.rooms {
		for i := range r.kept {
			r.kept[i].at -= 2 * time.Hour.Milliseconds()
		}
	}
	say("loud", time.Now())
	waited := uint64(0)
	if _, err := j.Open("loud", func(e hub.Entry) { waited = e.Message.Seq - rooms - 1 }); err != nil {
		t.Fatal(err)
	}
	j.clean()
	if waited == 0 || waited > rooms/10 {
		t.Errorf("a message waited for the trims of %d rooms, want few of %d", waited, rooms)
	}
	if n := stored(t, j, messageSubject("0")); n != 0 {
		t.Errorf("%d old messages left in a room, want none", n)
	}
}
