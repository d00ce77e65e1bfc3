package hub_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
)

// A second Leave does nothing, whenever either comes: before Joined, at the same time from
// several goroutines, after Left, and after the hub was closed. The room counts its members
// right, so it can retire and its goroutine can end.
func TestLeaveTwice(t *testing.T) {
	for name, leave := range map[string]func(*hub.Hub, *hub.Member){
		"before Joined": func(h *hub.Hub, m *hub.Member) {
			m.Leave()
			m.Leave()
		},
		"after Left": func(h *hub.Hub, m *hub.Member) {
			synctest.Wait()
			m.Leave()
			synctest.Wait()
			m.Leave()
			if m.Say(text("x")) {
				panic("a member that has left says something")
			}
			m.Rename("B")
		},
		"concurrently": func(h *hub.Hub, m *hub.Member) {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(m.Leave)
			}
			wg.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(hub.Options{MaxRooms: 1})
				defer h.Close()
				stays, stayer := join(t, h, room, lines, hub.Author{})
				m, o := join(t, h, room, lines, hub.Author{})
				leave(h, m)
				synctest.Wait()
				left := 0
				for _, n := range o.take() {
					if _, ok := n.(hub.Left); ok {
						left++
					}
				}
				if n := h.Stats().Members; left != 1 || n != 1 {
					t.Errorf("told Left %d times, %d members stay, want 1 and 1", left, n)
				}
				// It did not take the other member's reference along.
				if _, err := h.Join("other", lines, hub.Author{}, nobody{}); err == nil {
					t.Fatal("the room was retired with a member in it")
				}
				stayer.take()
				publish(t, h, room, text("x"))
				if got := read(t, stays); got != "x\n" {
					t.Errorf("the other member read %q", got)
				}
				stays.Leave()
				synctest.Wait()
				one[hub.Left](t, stayer)
				if _, err := h.Join("other", lines, hub.Author{}, nobody{}); err != nil {
					t.Errorf("Join with the room empty = %v", err)
				}
			})
		})
	}
}

func TestLeaveAfterClose(t *testing.T) {
	h := hub.New(hub.Options{})
	m, _ := join(t, h, room, lines, hub.Author{})
	left, _ := join(t, h, room, lines, hub.Author{})
	left.Leave()
	h.Close()
	for range 2 {
		m.Leave()
		left.Leave()
	}
}
