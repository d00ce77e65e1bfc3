package journal_test

import (
	"fmt"
	"testing"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal"
)

// At rooms.max the longest-empty room retires. With a durable journal it comes back as it
// was: its history, its chain, and the ids that must be recognised, also when what they
// repeat is no longer kept.
func TestRetiredRoom(t *testing.T) {
	h := hub.New(hub.Options{Journal: open(t, journal.Options{Limits: hub.Limits{Messages: 3}}), MaxRooms: 2})
	defer h.Close()
	publish := func(room string, n int) *hub.Message {
		t.Helper()
		m, err := h.Publish(t.Context(), room, &hub.Message{ID: hub.ID{byte(n)}, Idempotent: true, Payload: fmt.Append(nil, n)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var said []*hub.Message
	for n := range 5 {
		said = append(said, publish("a", n+1))
	}
	for _, other := range []string{"b", "c", "d"} { // a retires, and then b
		publish(other, 100)
	}
	if n := h.Stats().Rooms; n != 2 {
		t.Fatalf("%d rooms, want 2", n)
	}
	page := make(chan hub.Page, 1) // done sends once, never closed
	h.Page("a", hub.PageQuery{Limit: 10}, func(p hub.Page, err error) { page <- p })
	if p := <-page; len(p.Messages) != 3 || p.Head != said[4].Seq || p.Floor != said[1].Seq {
		t.Errorf("a retired room has %d messages up to %d behind %d, want 3, %d, %d", len(p.Messages), p.Head, p.Floor, said[4].Seq, said[1].Seq)
	}
	if again := publish("a", 1); again.Seq != said[0].Seq {
		t.Errorf("a retry after that is stored at %d, want %d, where it was", again.Seq, said[0].Seq)
	}
	if next := publish("a", 6); next.Prev != said[4].Seq {
		t.Errorf("the next has Prev %d, want %d", next.Prev, said[4].Seq)
	}
}
