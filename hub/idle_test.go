package hub_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// wantRoom checks, once everything is at rest, whether a room exists and has a goroutine.
func wantRoom(t *testing.T, h *hub.Hub, name string, wantExists, wantRuns bool) {
	t.Helper()
	synctest.Wait()
	runs, exists := h.Rooms()[name]
	if exists != wantExists || runs != wantRuns {
		t.Errorf("room %q exists: %v, has a goroutine: %v, want %v and %v", name, exists, runs, wantExists, wantRuns)
	}
}

// The goroutine of a room ends a minute after its last member has left. The next use finds
// epoch, position, history and remembered ids as they were. People that have left are not
// shown as present.
func TestRoomRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		m, o := join(t, h, room, told, hub.Author{ID: "a", Name: "A"})
		first := publish(t, h, room, retry(1, "どやさ"))
		synctest.Wait()
		was := one[hub.Joined](t, o)
		time.Sleep(time.Hour)
		wantRoom(t, h, room, true, true)
		m.Leave()
		time.Sleep(time.Minute - time.Second)
		wantRoom(t, h, room, true, true)
		time.Sleep(time.Second)
		wantRoom(t, h, room, true, false)
		if n, _ := kept(h, room); n != 1 {
			t.Errorf("%d messages kept of a room at rest, want 1", n)
		}

		time.Sleep(time.Hour)
		late, lateOwner := join(t, h, room, told, hub.Author{ID: "b", Name: "B"})
		synctest.Wait()
		wantRoom(t, h, room, true, true)
		is := one[hub.Joined](t, lateOwner)
		if is.Head != 1 || is.Epoch != was.Epoch || is.People.Count != 1 || is.People.Names[0] != "B" {
			t.Errorf("%+v an hour after %+v, want head 1 in the same epoch, and B alone", is, was)
		}
		if again := publish(t, h, room, retry(1, "どやさ")); again.Seq != first.Seq || again.At != first.At {
			t.Errorf("the retry has Seq %d, At %d, want %d, %d", again.Seq, again.At, first.Seq, first.At)
		}
		if next := publish(t, h, room, text("x")); next.Seq != 2 || next.Prev != 1 {
			t.Errorf("the next message has Seq %d, Prev %d, want 2, 1", next.Seq, next.Prev)
		}
		synctest.Wait()
		if got := string(late.TakePeople()); got != `1 +["B"] -[]` {
			t.Errorf("told %s, want B alone", got)
		}
	})
}

// The goroutine stays as long as messages are published, and for a member whose join failed.
func TestRoomInUseDoesNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{Journal: &unopenable{hub.NewMemory(hub.MemoryOptions{}), 1}})
		defer h.Close()
		failed, _ := join(t, h, room, lines, hub.Author{})
		time.Sleep(10 * time.Minute)
		wantRoom(t, h, room, true, true)
		failed.Leave()
		for range 10 {
			time.Sleep(time.Minute - time.Second)
			publish(t, h, room, text("x"))
			wantRoom(t, h, room, true, true)
		}
		time.Sleep(time.Minute)
		wantRoom(t, h, room, true, false)
		if err := h.Flush(t.Context()); err != nil {
			t.Errorf("Flush = %v", err)
		}
		wantRoom(t, h, room, true, false)
	})
}

// The goroutine stays while the journal has a message of the room. When it has ended, a
// message of another process starts it again.
func TestRoomWaitsForItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j})
		go h.Publish(t.Context(), room, retry(1, "slow"))
		time.Sleep(time.Hour)
		wantRoom(t, h, room, true, true)
		j.Free()
		synctest.Wait()
		time.Sleep(time.Minute)
		wantRoom(t, h, room, true, false)

		theirs := retry(2, "theirs")
		j.Append(room, theirs)
		wantRoom(t, h, room, true, true)
		time.Sleep(time.Minute)
		wantRoom(t, h, room, true, false)
		if again := publish(t, h, room, retry(2, "theirs")); again.Seq != theirs.Seq {
			t.Errorf("the retry has Seq %d, want %d", again.Seq, theirs.Seq)
		}
		h.Close()
		j.Stop()
	})
}

// A room at rest has given back the memory that a crowd in it has needed.
func TestRoomAtRestIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{Journal: hub.NewMemory(hub.MemoryOptions{Messages: 1})})
		defer h.Close()
		heap := func() int {
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			return int(stats.HeapAlloc)
		}
		publish(t, h, room, text("x"))
		time.Sleep(time.Minute)
		wantRoom(t, h, room, true, false)
		before := heap()

		const crowd = 5_000
		var members []*hub.Member
		for range crowd {
			m, err := h.Join(room, lines, hub.Author{}, nobody{})
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, m)
		}
		synctest.Wait()
		release := h.Hold(room)
		for _, m := range members {
			m.Say(text("x"))
			m.Leave()
		}
		members = nil
		release()
		time.Sleep(2 * time.Minute)
		wantRoom(t, h, room, true, false)
		if after := heap(); after > before+10*crowd {
			t.Errorf("%d bytes before the crowd of %d, %d when the room is at rest", before, crowd, after)
		}
	})
}

// A room in which nothing was stored is forgotten, by the hub and by the journal, unless it
// is the default room.
func TestUnusedRoomIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &strict{Journal: hub.NewMemory(hub.MemoryOptions{})}
		h := hub.New(hub.Options{Journal: j, DefaultRoom: "default"})
		defer h.Close()
		for _, name := range []string{"default", "visited", "transient"} {
			m, _ := join(t, h, name, lines, hub.Author{})
			if name == "transient" {
				m.Say(&hub.Message{Transient: true})
			}
			m.Leave()
		}
		if err := h.Ping(t.Context()); err != nil {
			t.Errorf("Ping = %v", err)
		}
		time.Sleep(time.Minute)
		wantRoom(t, h, "default", true, false)
		wantRoom(t, h, "visited", false, false)
		wantRoom(t, h, "transient", false, false)
		if n := h.Stats().Rooms; n != 1 || h.Retiring() != 0 {
			t.Errorf("%d rooms, %d retiring, want the default room alone", n, h.Retiring())
		}
		if j.opened["visited"] || j.opened["transient"] || !j.opened["default"] {
			t.Errorf("open in the journal: %v, want the default room", j.opened)
		}
		j.check(t)
	})
}

// When all rooms together remember too many ids, the hub forgets the oldest and counts them.
func TestForgottenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{MaxRooms: 2})
		defer h.Close()
		h.LimitRecent(3)
		want := func(remembered int, early int64) {
			t.Helper()
			if s := h.Stats(); s.Remembered != remembered || s.ForgottenEarly != early {
				t.Errorf("%d ids, %d forgotten early, want %d and %d", s.Remembered, s.ForgottenEarly, remembered, early)
			}
		}
		for i, name := range []string{"a", "a", "b", "b"} {
			publish(t, h, name, retry(byte(i), "x"))
			time.Sleep(time.Second)
		}
		want(3, 1)
		if again := publish(t, h, "a", retry(1, "x")); again.Seq != 2 {
			t.Errorf("the retry has Seq %d, want 2", again.Seq)
		}
		if again := publish(t, h, "a", retry(0, "x")); again.Seq != 3 {
			t.Errorf("the retry of a forgotten id has Seq %d, want 3, as a new message", again.Seq)
		}
		want(3, 2)
		time.Sleep(time.Hour)
		want(3, 2)
		publish(t, h, "c", text("x")) // b retires
		synctest.Wait()
		want(1, 2)
	})
}
