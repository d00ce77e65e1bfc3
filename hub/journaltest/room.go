package journaltest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// patience is how long a test waits for an answer before it fails. It is far longer than any
// answer takes.
const patience = 3 * time.Minute

// opened is a room in a journal, with the entries that it delivers.
type opened struct {
	t       *testing.T
	journal hub.Journal
	name    string
	start   hub.Position
	recent  []hub.Stored
	entries chan hub.Entry // carries all entries that were delivered; deliver sends; never closed
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

// message returns the message with number n of a test. Its payload has 12 bytes.
func message(n int) *hub.Message {
	return &hub.Message{
		At:      time.Now().UnixMilli(),
		ID:      hub.ID{1, byte(n >> 8), byte(n)},
		From:    hub.Author{ID: "a", Name: "A"},
		Payload: fmt.Appendf(nil, "どや%06d", n),
	}
}

// say appends n messages and returns them once all have come back.
func (o *opened) say(n int) []*hub.Message {
	o.t.Helper()
	var said []*hub.Message
	for i := range n {
		said = append(said, message(i))
	}
	o.append(said...)
	return said
}

// append appends messages, waits until they have come back, and fails if one is refused.
func (o *opened) append(said ...*hub.Message) {
	o.t.Helper()
	for _, m := range said {
		o.journal.Append(o.name, m)
	}
	for i, m := range said {
		if e := o.next(); e.Message != m || e.Err != nil {
			o.t.Fatalf("entry %d = %+v, want the message that was appended", i, e)
		}
	}
}

// next returns the next entry.
func (o *opened) next() hub.Entry {
	o.t.Helper()
	return receive(o.t, o.entries, "an entry of room "+o.name)
}

// none fails if an entry was delivered that the test has not taken with next.
func (o *opened) none() {
	o.t.Helper()
	select {
	case e := <-o.entries:
		o.t.Errorf("room %s: %+v was delivered as well, want nothing", o.name, e)
	default:
	}
}

// page reads a page, which must not fail.
func (o *opened) page(q hub.PageQuery) hub.Page {
	o.t.Helper()
	answer := make(chan hub.Page, 2) // carries the page; the callback of Page sends; never closed
	o.journal.Page(o.name, q, func(p hub.Page, err error) {
		if err != nil {
			o.t.Errorf("Page(%+v) = %v", q, err)
		}
		answer <- p
	})
	p := receive(o.t, answer, fmt.Sprintf("the answer to Page(%+v)", q))
	if len(answer) > 0 {
		o.t.Errorf("Page(%+v) has called done twice", q)
	}
	return p
}

// receive waits for a value.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// returns fails if a call does not return.
func returns(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{}) // says that the call has returned; the call's goroutine closes it
	go func() {
		call()
		close(done)
	}()
	receive(t, done, "the return of "+what)
}

func seqs(ms []*hub.Message) []uint64 {
	list := []uint64{}
	for _, m := range ms {
		list = append(list, m.Seq)
	}
	return list
}

// chain fails unless messages follow each other, the first one after prev.
func chain(t *testing.T, prev uint64, ms []*hub.Message) {
	t.Helper()
	for _, m := range ms {
		if m.Prev != prev || m.Seq <= prev {
			t.Fatalf("Seq %d has Prev %d, want %d", m.Seq, m.Prev, prev)
		}
		prev = m.Seq
	}
}

// wantPage fails unless a page has these messages and no others.
func (o *opened) wantPage(q hub.PageQuery, want []*hub.Message) hub.Page {
	o.t.Helper()
	p := o.page(q)
	if got := seqs(p.Messages); !slices.Equal(got, seqs(want)) {
		o.t.Errorf("Page(%+v) = %v, want %v", q, got, seqs(want))
	}
	return p
}
