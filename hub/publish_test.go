package hub_test

import (
	"fmt"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// When Publish has returned, the room is not in use any more: the next room may take its
// place at once.
func TestPublishReleasesTheRoomFirst(t *testing.T) {
	h := hub.New(hub.Options{MaxRooms: 1})
	defer h.Close()
	for n := range 2000 {
		publish(t, h, fmt.Sprint(n), text("x"))
	}
}
