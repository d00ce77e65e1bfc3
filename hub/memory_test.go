package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// kept returns how many messages a journal, or a hub, shows of a room.
func kept(j interface {
	Page(string, hub.PageQuery, func(hub.Page, error))
}, room string) (n int, floor uint64) {
	j.Page(room, hub.PageQuery{Limit: 1 << 20}, func(p hub.Page, err error) {
		n, floor = len(p.Messages), p.Floor
	})
	return n, floor
}

// fill opens a room and says n things of size bytes, the overhead counted.
func fill(t *testing.T, j hub.Journal, room string, n, size int) {
	t.Helper()
	if _, err := j.Open(room, func(hub.Entry) {}); err != nil {
		t.Fatal(err)
	}
	more(j, room, n, size)
}

func more(j hub.Journal, room string, n, size int) {
	for range n {
		j.Append(room, &hub.Message{At: time.Now().UnixMilli(), Payload: make([]byte, size-overhead)})
	}
}

func TestMemoryBounds(t *testing.T) {
	for _, c := range []struct {
		name       string
		opts       hub.MemoryOptions
		said, size int
		want       int
	}{
		{"none", hub.MemoryOptions{}, 2000, 200, 2000},
		{"messages", hub.MemoryOptions{Messages: 10}, 100, 200, 10},
		{"bytes", hub.MemoryOptions{Bytes: 2000}, 100, 200, 10},
		{"one byte less", hub.MemoryOptions{Bytes: 1999}, 100, 200, 9},
		{"messages first", hub.MemoryOptions{Messages: 5, Bytes: 2000}, 100, 200, 5},
		{"total", hub.MemoryOptions{TotalBytes: 1000}, 100, 200, 5},
		{"smaller than one message", hub.MemoryOptions{Bytes: 199}, 100, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := hub.NewMemory(c.opts)
			fill(t, j, room, c.said, c.size)
			if n, floor := kept(j, room); n != c.want || floor != uint64(c.said-c.want) {
				t.Errorf("%d messages above %d, want %d above %d", n, floor, c.want, c.said-c.want)
			}
		})
	}
}

// Above the bound of all rooms the one that holds most gives first.
func TestMemoryTotal(t *testing.T) {
	j := hub.NewMemory(hub.MemoryOptions{TotalBytes: 10_000})
	fill(t, j, "large", 30, 200)
	fill(t, j, "small", 5, 200)
	fill(t, j, "new", 30, 200)
	check := func(want ...int) {
		t.Helper()
		for i, room := range []string{"large", "small", "new"} {
			if n, _ := kept(j, room); n < want[i]-1 || n > want[i]+1 { // equals give by turns
				t.Errorf("room %s has %d messages, want %d or one beside", room, n, want[i])
			}
		}
	}
	check(22, 5, 22)
	j.Close("large")
	more(j, "new", 100, 200)
	if n, _ := kept(j, "new"); n != 45 {
		t.Errorf("with a room closed the other has %d messages, want 45", n)
	}
	if n, _ := kept(j, "small"); n != 5 {
		t.Errorf("the small room has %d messages, want 5", n)
	}
}

func TestMemoryMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := hub.NewMemory(hub.MemoryOptions{MaxAge: time.Minute})
		fill(t, j, room, 3, 200)
		time.Sleep(30 * time.Second)
		more(j, room, 2, 200)
		time.Sleep(30 * time.Second)
		if n, floor := kept(j, room); n != 5 || floor != 0 {
			t.Errorf("at one minute: %d messages above %d, want 5 above 0", n, floor)
		}
		time.Sleep(time.Second)
		if n, floor := kept(j, room); n != 2 || floor != 3 {
			t.Errorf("after a minute: %d messages above %d, want 2 above 3", n, floor)
		}
		time.Sleep(time.Minute)
		if n, floor := kept(j, room); n != 0 || floor != 5 {
			t.Errorf("after two: %d messages above %d, want 0 above 5", n, floor)
		}
		more(j, room, 1, 200)
		if n, floor := kept(j, room); n != 1 || floor != 5 {
			t.Errorf("one more: %d messages above %d, want 1 above 5", n, floor)
		}
	})
}

func TestMemoryEpochs(t *testing.T) {
	made := 0
	j := hub.NewMemory(hub.MemoryOptions{NewEpoch: func() string {
		made++
		return fmt.Sprint("epoch ", made)
	}})
	for i := range 3 {
		p, err := j.Open(fmt.Sprint(i), func(hub.Entry) {})
		if want := fmt.Sprint("epoch ", i+1); p.Epoch != want || err != nil {
			t.Errorf("Open = %+v, %v, want %s", p, err, want)
		}
	}
}
