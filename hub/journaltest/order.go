package journaltest

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// This file tests the parts of the contract about the order of messages: Open, Append and
// deliver.

func newRoom(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	if o.start.Head != 0 || o.start.Epoch == "" || len(o.recent) > 0 {
		t.Errorf("Open = %+v with %d ids, want head 0, an epoch, and no ids", o.start, len(o.recent))
	}
	p := o.page(hub.PageQuery{Limit: 10})
	if want := (hub.Page{Position: o.start, Known: true}); !reflect.DeepEqual(p, want) {
		t.Errorf("Page = %+v, want %+v", p, want)
	}
}

func unknownRoom(t *testing.T, j hub.Journal) {
	o := &opened{t: t, journal: j, name: "never opened"}
	if p := o.page(hub.PageQuery{Limit: 10}); p.Head != 0 || p.First != 0 || p.Floor != 0 || len(p.Messages) > 0 {
		t.Errorf("Page = %+v, want no messages", p)
	}
	j.Close("never opened")
}

func order(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	chain(t, o.start.Head, o.say(500))
	o.none()
}

func senders(t *testing.T, j hub.Journal) {
	const rooms, each = 4, 200
	var all []*opened
	for n := range rooms {
		all = append(all, openRoom(t, j, fmt.Sprint(n)))
	}
	var wg sync.WaitGroup
	for _, o := range all {
		wg.Go(func() {
			for n := range each {
				j.Append(o.name, message(n))
			}
		})
	}
	wg.Wait()
	for _, o := range all {
		var got []*hub.Message
		for n := range each {
			e := o.next()
			if e.Err != nil || string(e.Message.Payload) != string(message(n).Payload) {
				t.Fatalf("room %s: entry %d = %+v, want message %d", o.name, n, e, n)
			}
			got = append(got, e.Message)
		}
		chain(t, o.start.Head, got)
		o.none()
	}
}

func transient(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	first, passing, second := message(1), message(2), message(3)
	passing.Transient = true
	o.append(first, passing, second)
	if passing.Seq != 0 || passing.Prev != 0 || second.Prev != first.Seq {
		t.Errorf("transient Seq %d, Prev %d, next Prev %d, want 0, 0, %d", passing.Seq, passing.Prev, second.Prev, first.Seq)
	}
	o.wantPage(hub.PageQuery{Limit: 10}, []*hub.Message{first, second})
}

func separate(t *testing.T, j hub.Journal) {
	rooms := []*opened{openRoom(t, j, "a"), openRoom(t, j, "b")}
	var wg sync.WaitGroup
	said := make([][]*hub.Message, len(rooms))
	for i, o := range rooms {
		wg.Go(func() {
			for range 200 {
				said[i] = append(said[i], o.say(1)...)
			}
		})
	}
	wg.Wait()
	for i, o := range rooms {
		got := o.page(hub.PageQuery{Limit: 1000}).Messages
		if !slices.Equal(seqs(got), seqs(said[i])) {
			t.Errorf("room %s has %d messages, want its own 200", o.name, len(got))
		}
		chain(t, 0, got)
	}
}

func opens(t *testing.T, j hub.Journal) {
	const rooms = 50
	var wg sync.WaitGroup
	all := make([]*opened, rooms)
	for n := range rooms {
		wg.Go(func() {
			all[n] = openRoom(t, j, fmt.Sprint("room ", n))
			j.Append(all[n].name, message(n))
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for n, o := range all {
		if e := o.next(); e.Err != nil || string(e.Message.Payload) != string(message(n).Payload) || e.Message.Prev != 0 {
			t.Errorf("room %s delivers %+v, want its own first message", o.name, e)
		}
		if p := o.page(hub.PageQuery{Limit: 10}); len(p.Messages) != 1 || p.Floor != 0 {
			t.Errorf("room %s has %d messages after %d, want 1 after 0", o.name, len(p.Messages), p.Floor)
		}
		o.none()
	}
}

func reentrant(t *testing.T, j hub.Journal) {
	done := make(chan []uint64, 1) // carries the page; the callback of Page sends once; never closed
	second := message(2)
	_, err := j.Open("r", func(e hub.Entry) {
		if e.Message != second {
			j.Append("r", second)
			return
		}
		j.Page("r", hub.PageQuery{Limit: 10}, func(p hub.Page, err error) { done <- seqs(p.Messages) })
	})
	if err != nil {
		t.Fatal(err)
	}
	go j.Append("r", message(1))
	if got := receive(t, done, "the page that deliver asked for"); len(got) != 2 {
		t.Errorf("Page = %v, want two messages", got)
	}
}

// stalled blocks the deliver function of one room. The interface asks deliver to be quick,
// but the calls of the journal must return even when it is not.
func stalled(t *testing.T, j hub.Journal) {
	delivering, gate := make(chan struct{}), make(chan struct{}) // deliver closes delivering, the test closes gate
	delivered := make(chan hub.Entry, 10)                        // carries the entries; deliver sends; never closed
	var once sync.Once
	if _, err := j.Open("slow", func(e hub.Entry) {
		once.Do(func() { close(delivering) })
		<-gate
		delivered <- e
	}); err != nil {
		t.Fatal(err)
	}
	first, second := message(1), message(2)
	go j.Append("slow", first)
	receive(t, delivering, "the first entry")
	q := hub.PageQuery{Limit: 10}
	for _, name := range []string{"slow", "other"} {
		returns(t, "Page", func() { j.Page(name, q, func(hub.Page, error) {}) })
	}
	var other *opened
	returns(t, "Open", func() { other = openRoom(t, j, "other") })
	returns(t, "Append", func() { j.Append("other", second) })
	close(gate)
	if e := receive(t, delivered, "the first entry"); e.Message != first {
		t.Errorf("%+v was delivered, want the first message", e)
	}
	if e := other.next(); e.Message != second || e.Err != nil {
		t.Errorf("%+v was delivered, want the message of the other room", e)
	}
}

// repeated appends two messages with the same id. A hub does so only when it does not know the
// first message, for example because another process has stored that.
func repeated(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	first, again := message(1), message(1)
	first.Idempotent, again.Idempotent = true, true
	again.At = first.At + 1
	o.append(first)
	j.Append("r", again)
	e := o.next()
	if e.Message != again || e.Err != nil {
		t.Fatalf("%+v was delivered, want the second message", e)
	}
	if e.Repeated {
		if again.Seq != first.Seq || again.Prev != first.Prev || again.At != first.At {
			t.Errorf("repeated with %d, %d, %d, want the place of the first: %d, %d, %d", again.Seq, again.Prev, again.At, first.Seq, first.Prev, first.At)
		}
		o.wantPage(hub.PageQuery{Limit: 10}, []*hub.Message{first})
	} else {
		chain(t, 0, []*hub.Message{first, again})
		o.wantPage(hub.PageQuery{Limit: 10}, []*hub.Message{first, again})
	}
	if other := openRoom(t, j, "other"); other.start.Head != 0 {
		t.Errorf("another room begins at %d", other.start.Head)
	} else { // an id belongs to its room
		theirs := message(1)
		theirs.Idempotent = true
		other.append(theirs)
		other.wantPage(hub.PageQuery{Limit: 10}, []*hub.Message{theirs})
	}
}
