package hub_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
)

// A log keeps LogBytes, and not more.
func TestLogBytes(t *testing.T) {
	for messages, want := range map[int]error{4: nil, 5: hub.ErrOvertaken} {
		synctest.Test(t, func(t *testing.T) {
			h := hub.New(hub.Options{LogBytes: 16 << 10, ChunkBytes: 4 << 10})
			defer h.Close()
			m, _ := join(t, h, room, lines, hub.Author{})
			synctest.Wait()
			for range messages {
				publish(t, h, room, &hub.Message{Payload: make([]byte, 4095)})
			}
			if n, err := m.WriteTo(io.Discard); !errors.Is(err, want) {
				t.Errorf("%d chunks: read %d bytes, %v, want %v", messages, n, err, want)
			}
			if got := h.LogBytes(); got != 16<<10 {
				t.Errorf("%d chunks: %d bytes, want %d", messages, got, 16<<10)
			}
		})
	}
}

// Many rooms share one bound on the bytes of their logs: above it a log that grows
// keeps only its newest chunk.
func TestTotalLogBytes(t *testing.T) {
	h := hub.New(hub.Options{TotalLogBytes: 100 << 10, ChunkBytes: 4 << 10})
	defer h.Close()
	var members []*hub.Member
	for i := range 50 {
		w := make(wake, 1)
		m, err := h.Join(fmt.Sprint(i), lines, hub.Author{}, w)
		if err != nil {
			t.Fatal(err)
		}
		<-w
		members = append(members, m)
		for range 10 {
			publish(t, h, fmt.Sprint(i), &hub.Message{Payload: make([]byte, 4000)})
		}
		if got, want := h.LogBytes(), int64(100<<10+(i+1)*4<<10); got > want {
			t.Fatalf("%d rooms: logs of %d bytes, want at most %d", i+1, got, want)
		}
	}
	if n, err := members[0].WriteTo(io.Discard); n != 40_010 || err != nil {
		t.Errorf("the first room, below the bound then: %d bytes, %v, want all 40010", n, err)
	}
	if _, err := members[49].WriteTo(io.Discard); !errors.Is(err, hub.ErrOvertaken) {
		t.Errorf("the last room: %v, want %v", err, hub.ErrOvertaken)
	}
}
