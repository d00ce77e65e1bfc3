package journaltest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// Run holds a Journal to the contract of [hub.Journal]. open returns an empty one that
// keeps the newest keep messages of a room, all if 0, and ends it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T, keep int) hub.Journal) {
	for _, c := range []struct {
		name string
		keep int
		test func(*testing.T, hub.Journal)
	}{
		{"a new room is at 0", 0, newRoom},
		{"messages come back in order", 0, order},
		{"a transient message keeps its place and is not kept", 0, transient},
		{"pages", 0, pages},
		{"pages of a trimmed room", 3, trimmed},
		{"what is stored is what was said", 0, contents},
		{"rooms do not mix", 0, separate},
		{"pages are gapless while messages come", 5, concurrent},
		{"deliver may read and append", 0, reentrant},
		{"a closed room starts over or goes on", 0, reopen},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t, c.keep)) })
	}
}

// patience is a safety net: far longer than any answer takes.
const patience = 30 * time.Second

// opened is a room in a journal, with what it delivers.
type opened struct {
	t       *testing.T
	journal hub.Journal
	name    string
	start   hub.Position
	recent  []hub.Stored
	entries chan hub.Entry // what was delivered; deliver sends, never closed
	busy    atomic.Bool    // deliver is running
}

func openRoom(t *testing.T, j hub.Journal, name string) *opened {
	t.Helper()
	o := &opened{t: t, journal: j, name: name, entries: make(chan hub.Entry, 10_000)}
	at, err := j.Open(name, func(e hub.Entry) {
		if !o.busy.CompareAndSwap(false, true) {
			t.Error("deliver was called while it ran")
		}
		o.entries <- e
		o.busy.Store(false)
	})
	if err != nil {
		t.Fatalf("Open(%q) = %v", name, err)
	}
	o.start, o.recent = at.Position, at.Recent
	return o
}

func message(n int) *hub.Message {
	return &hub.Message{
		At:      time.Now().UnixMilli(),
		ID:      hub.ID{1, byte(n >> 8), byte(n)},
		From:    hub.Author{ID: "a", Name: "A"},
		Payload: fmt.Appendf(nil, "どや%06d", n), // 12 bytes
	}
}

// say appends n messages and returns them once all have come back.
func (o *opened) say(n int) []*hub.Message {
	o.t.Helper()
	var said []*hub.Message
	for i := range n {
		m := message(i)
		said = append(said, m)
		o.journal.Append(o.name, m)
	}
	for i, m := range said {
		if e := o.next(); e.Message != m || e.Err != nil {
			o.t.Fatalf("entry %d = %+v, want the message that was appended", i, e)
		}
	}
	return said
}

func (o *opened) next() hub.Entry {
	o.t.Helper()
	select {
	case e := <-o.entries:
		return e
	case <-time.After(patience):
		o.t.Fatal("nothing was delivered")
		panic("unreachable")
	}
}

func (o *opened) page(q hub.PageQuery) hub.Page {
	o.t.Helper()
	answer := make(chan hub.Page, 2) // what done got; done sends, never closed
	o.journal.Page(o.name, q, func(p hub.Page, err error) {
		if err != nil {
			o.t.Errorf("Page(%+v) = %v", q, err)
		}
		answer <- p
	})
	select {
	case p := <-answer:
		return p
	case <-time.After(patience):
		o.t.Fatalf("Page(%+v) got no answer", q)
		panic("unreachable")
	}
}

func seqs(ms []*hub.Message) []uint64 {
	list := []uint64{}
	for _, m := range ms {
		list = append(list, m.Seq)
	}
	return list
}
