package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/doyasa/doyasa/internal/config"
)

// happenings are the steps of a schedule; those that stand here twice are twice as likely.
var happenings = []string{"say", "say", "retry", "cut", "resume", "resume", "resume stalled", "stall", "read", "wait", "long wait", "restart"}

type happening struct {
	what  string
	who   int
	times int
}

// TestModel: in whatever order walkers say, retry, are cut off, resume and lag, and the room trims and restarts,
// each walker is given the one order without a double and without a hole, unless the hole was announced with its
// bounds. The room keeps five messages, and its log two.
func TestModel(t *testing.T) {
	happen := rapid.Custom(func(t *rapid.T) happening {
		return happening{rapid.SampledFrom(happenings).Draw(t, "what"), rapid.IntRange(0, 2).Draw(t, "who"), rapid.IntRange(1, 9).Draw(t, "times")}
	})
	memory, durable := 8, 3 // rounds of a hundred schedules: some faults show in one of several hundred
	if testing.Short() {
		memory, durable = 3, 1 // of twenty
	}
	t.Run("memory", func(t *testing.T) {
		for range memory {
			rapid.Check(t, walkSchedule(t, happen, false))
		}
	})
	t.Run("durable", func(t *testing.T) {
		for range durable {
			rapid.Check(t, walkSchedule(t, happen, true))
		}
	})
}

func walkSchedule(t *testing.T, happen *rapid.Generator[happening], durable bool) func(*rapid.T) {
	return func(rt *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(rt, "steps") // most of the slices that rapid chooses itself are short
		schedule := rapid.SliceOfN(happen, n, n).Draw(rt, "schedule")
		var wrong error
		dir := ""
		if durable {
			dir = t.TempDir()
		}
		synctest.Test(t, func(t *testing.T) { wrong = walk(t, schedule, dir) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	}
}

// A walker is a client that keeps its place, and everything it has been given.
type walker struct {
	name    string
	here    bool // connected, as far as it knows
	stalled bool
	placed  bool // it has a position after which nothing may be missing
	epoch   string
	session string
	last    uint64
	said    []string          // the ids of what it said in this epoch
	given   map[string]uint64 // by id: the position at which the message was given as new in this epoch
}

// A journey is a schedule being played.
type journey struct {
	*play
	walkers []*walker
	order   map[string]string // the id at an epoch and position: the same for all walkers
	said    int
}

func walk(t *testing.T, schedule []happening, dir string) (wrong error) {
	p := &play{t: t, dir: dir, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
	defer p.end()
	p.step("config buffer=3000 history.messages=5 limits.messages_per_second=0 log_bytes=1200 chunk_bytes=300")
	w := &journey{play: p, order: make(map[string]string)}
	for i := range 3 {
		w.walkers = append(w.walkers, &walker{name: fmt.Sprintf("W%d", i), given: make(map[string]uint64)})
	}
	for i, h := range schedule {
		for n := 0; n == 0 || h.what == "say" && n < h.times; n++ {
			w.happen(h.what, w.walkers[h.who])
		}
		if wrong := w.check(); wrong != nil {
			return fmt.Errorf("at %d, %s of %d: %w", i, h.what, h.who, wrong)
		}
	}
	// In the end all connect and read, and have everything that is kept.
	for range 2 {
		for _, v := range w.walkers {
			w.happen("read", v)
			w.happen("resume", v)
			w.happen("wait", v)
			if wrong := w.check(); wrong != nil {
				return fmt.Errorf("in the end: %w", wrong)
			}
		}
	}
	for _, v := range w.walkers {
		if v.last != w.walkers[0].last || v.epoch != w.walkers[0].epoch {
			return fmt.Errorf("in the end %s is at %d of %s, and %s at %d of %s", v.name, v.last, v.epoch, w.walkers[0].name, w.walkers[0].last, w.walkers[0].epoch)
		}
	}
	return nil
}

func (w *journey) happen(what string, v *walker) {
	switch {
	case what == "say" && v.here:
		w.said++
		id := fmt.Sprintf("00000000-0000-7000-8000-%012d", w.said)
		v.said = append(v.said, id)
		w.say(v, id)
	case what == "retry" && v.here && len(v.said) > 0:
		w.say(v, v.said[len(v.said)-1])
	case what == "cut" && v.here:
		w.act(v.name, "drop")
		w.act(v.name, "read") // so that its goroutine sees the end
		v.here, v.stalled = false, false
	case strings.HasPrefix(what, "resume") && !v.here:
		target := "v1 /websocket?history=3&name=" + v.name
		if v.epoch != "" {
			target += fmt.Sprintf("&after=%d&epoch=%s&session=%s", v.last, url.QueryEscape(v.epoch), v.session)
		}
		v.here, v.stalled = true, what == "resume stalled" // so that the room moves on while it is caught up
		if v.stalled {
			target += " | stalled"
		}
		w.act(v.name, "connect "+target)
	case what == "stall" && v.here && !v.stalled:
		w.act(v.name, "stall")
		v.stalled = true
	case what == "read" && v.stalled:
		w.act(v.name, "read")
		v.stalled = false
	case what == "wait":
		time.Sleep(1100 * time.Millisecond)
	case what == "long wait":
		time.Sleep(40 * time.Second)
	case what == "restart" && w.server != nil:
		w.server.Shutdown(context.Background())
		w.http.Close()
		<-w.serving
		w.closeDurable()
		w.server = nil
	}
	synctest.Wait()
}

// say sends about 400 bytes, so that five messages are more than the log holds. For ids that end in 5 or more it
// sends 4,000, so that five messages are more than one batch for a member that catches up.
func (w *journey) say(v *walker, id string) {
	words := 20
	if id[len(id)-1] >= '5' {
		words = 390
	}
	w.act(v.name, `> text {"type":"say","id":"`+id+`","text":"`+id+strings.Repeat(" どやさ", words)+`"}`)
}

// check checks what the walkers have been given since the last time.
func (w *journey) check() error {
	for _, v := range w.walkers {
		c := w.clients[v.name]
		if c == nil {
			continue
		}
		c.mu.Lock()
		lines := c.lines
		c.lines = nil
		c.mu.Unlock()
		for _, line := range lines {
			if err := w.take(v, line); err != nil {
				return fmt.Errorf("%s, at %d of %s, got %.200s: %w", v.name, v.last, v.epoch, line, err)
			}
		}
	}
	return nil
}

func (w *journey) take(v *walker, line string) error {
	if !strings.HasPrefix(line, "{") {
		if line == "end" || strings.HasPrefix(line, "close ") {
			v.here = false
		}
		return nil
	}
	var f struct {
		Type, ID, Epoch, Reason string
		Seq, Prev, To           uint64
		From                    json.RawMessage
		Resumed                 bool
		You                     struct{ Session string }
	}
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		return err
	}
	switch f.Type {
	case "hello":
		v.session = f.You.Session
		if f.Resumed && (f.Epoch != v.epoch || f.Seq < v.last) {
			return fmt.Errorf("resumed in another order")
		}
		if !f.Resumed {
			if f.Epoch == v.epoch && f.Reason != "trimmed" {
				return fmt.Errorf("not resumed although the place was right")
			}
			v.placed = false
		}
		if w.dir != "" && v.epoch != "" && f.Epoch != v.epoch {
			return fmt.Errorf("the order has started over")
		}
		if f.Epoch != v.epoch {
			v.epoch, v.last, v.said, v.given = f.Epoch, 0, nil, make(map[string]uint64)
		}
	case "message":
		if at := w.order[fmt.Sprint(v.epoch, f.Seq)]; at != "" && at != f.ID {
			return fmt.Errorf("somebody else was given %s there", at)
		}
		w.order[fmt.Sprint(v.epoch, f.Seq)] = f.ID
		if f.Seq <= v.last {
			if was := v.given[f.ID]; was != 0 && was != f.Seq {
				return fmt.Errorf("the retry is answered with another position than %d", was)
			}
			return nil
		}
		if v.given[f.ID] != 0 {
			return fmt.Errorf("given before, at %d", v.given[f.ID])
		}
		if v.placed && f.Prev != v.last {
			return fmt.Errorf("a hole that nobody announced")
		}
		v.placed, v.last, v.given[f.ID] = true, f.Seq, f.Seq
	case "gap":
		var from uint64
		json.Unmarshal(f.From, &from)
		if v.placed && from != v.last+1 || f.To < from {
			return fmt.Errorf("the hole does not begin behind %d", v.last)
		}
		v.placed, v.last = true, f.To
	case "live":
		if v.placed && f.Seq != v.last {
			return fmt.Errorf("live elsewhere")
		}
		v.placed, v.last = true, f.Seq
	}
	return nil
}
