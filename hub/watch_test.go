package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
)

// counter is a Waker that counts.
type counter struct{ owner }

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.wakes
	c.wakes = 0
	return n
}

// A Waker that watches for many members is woken once for all of them, until the last has
// left. Their owners are not woken.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		lane := new(counter)
		var members []*hub.Member
		var owners []*owner
		for range 3 {
			m, o := join(t, h, room, lines, hub.Author{})
			members, owners = append(members, m), append(owners, o)
		}
		synctest.Wait()
		for _, m := range members[1:] {
			m.Watch(lane)
		}
		if members[1].Log() != members[2].Log() {
			t.Error("two members in one form have different logs")
		}
		say := func(wantLane int, wantOwners ...bool) {
			t.Helper()
			publish(t, h, room, text("x"))
			synctest.Wait()
			if n := lane.count(); n != wantLane {
				t.Errorf("the watcher was woken %d times, want %d", n, wantLane)
			}
			for i, o := range owners {
				if woken := o.woken(); woken != wantOwners[i] {
					t.Errorf("owner %d woken: %v, want %v", i, woken, wantOwners[i])
				}
			}
		}
		say(1, true, false, false)
		members[1].Leave()
		synctest.Wait()
		members[1].Watch(lane) // too late to count
		say(1, true, false, false)
		members[2].Leave()
		synctest.Wait()
		say(0, true, false, false)
		members[0].Watch(lane)
		say(1, false, false, false)
		members[0].Watch(owners[0])
		say(0, true, false, false)
	})
}
