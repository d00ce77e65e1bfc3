package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// At the bound the room that has been empty longest retires, but never the default room or
// a room in use.
func TestRoomsRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{DefaultRoom: "default", MaxRooms: 4})
		defer h.Close()
		has := func(want ...string) {
			t.Helper()
			got := h.Rooms()
			for _, name := range want {
				if _, exists := got[name]; !exists {
					t.Errorf("rooms %v, want %v", got, want)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("and rooms %v, want only %v", got, want)
			}
		}
		say := func(room string) {
			t.Helper()
			time.Sleep(time.Second)
			publish(t, h, room, text(room))
		}
		say("default")
		say("a")
		say("b")
		c, _ := join(t, h, "c", lines, hub.Author{})
		has("default", "a", "b", "c")
		say("a") // now b is the longest-empty
		say("d")
		has("default", "a", "c", "d")
		var p hub.Page
		h.Page("b", hub.PageQuery{Limit: 1}, func(got hub.Page, err error) { p = got })
		if p.Epoch != "" || len(p.Messages) > 0 {
			t.Errorf("a retired room has the page %+v", p)
		}
		say("b") // starts over
		has("default", "b", "c", "d")
		time.Sleep(time.Second)
		c.Leave()
		say("e")
		has("b", "c", "default", "e") // d was longest-empty, c only since its Left
		say("f")
		has("c", "default", "e", "f")
		say("g")
		has("default", "e", "f", "g")
	})
}

func TestRoomsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{DefaultRoom: "default", MaxRooms: 2})
		defer h.Close()
		a, _ := join(t, h, "a", lines, hub.Author{})
		if _, err := h.Join("b", lines, hub.Author{}, nobody{}); !errors.Is(err, hub.ErrRoomsFull) {
			t.Errorf("Join = %v, want %v", err, hub.ErrRoomsFull)
		}
		if _, err := h.Publish(context.Background(), "b", text("x")); !errors.Is(err, hub.ErrRoomsFull) {
			t.Errorf("Publish = %v, want %v", err, hub.ErrRoomsFull)
		}
		join(t, h, "a", lines, hub.Author{})
		join(t, h, "default", lines, hub.Author{}) // its place is kept
		if err := h.Ping(context.Background()); err != nil {
			t.Errorf("Ping = %v", err)
		}
		a.Leave()
		synctest.Wait()
		if _, err := h.Join("b", lines, hub.Author{}, nobody{}); !errors.Is(err, hub.ErrRoomsFull) {
			t.Errorf("Join with one of two members gone = %v, want %v", err, hub.ErrRoomsFull)
		}
	})
}

func TestNoBoundOnRooms(t *testing.T) {
	h := hub.New(hub.Options{})
	defer h.Close()
	for i := range 100 {
		publish(t, h, fmt.Sprint(i), text("x"))
	}
	if n := len(h.Rooms()); n != 100 {
		t.Errorf("%d rooms, want 100", n)
	}
}

// A room whose journal has not answered is in use, also when its publisher has given up.
func TestRoomWithAMessageInFlightIsNotRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j, MaxRooms: 1})
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			synctest.Wait()
			cancel()
		}()
		if _, err := h.Publish(ctx, "a", text("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Publish = %v, want %v", err, context.Canceled)
		}
		var err error
		answered := false
		go func() {
			_, err = h.Join("b", lines, hub.Author{}, nobody{})
			answered = true
		}()
		synctest.Wait()
		if !answered || !errors.Is(err, hub.ErrRoomsFull) {
			t.Errorf("Join = %v, answered %v, want %v at once", err, answered, hub.ErrRoomsFull)
		}
		j.Free()
		synctest.Wait()
		if _, err := h.Join("b", lines, hub.Author{}, nobody{}); err != nil {
			t.Errorf("Join with room a idle = %v", err)
		}
		h.Close()
		j.Stop()
	})
}
