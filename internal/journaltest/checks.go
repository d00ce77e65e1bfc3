package journaltest

import (
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

func newRoom(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	if o.start.Head != 0 || o.start.Epoch == "" {
		t.Errorf("Open = %+v, want head 0 and an epoch", o.start)
	}
	p := o.page(hub.PageQuery{Limit: 10})
	if want := (hub.Page{Position: o.start}); !reflect.DeepEqual(p, want) {
		t.Errorf("Page = %+v, want %+v", p, want)
	}
}

func order(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	prev := o.start.Head
	for _, m := range o.say(500) {
		if m.Prev != prev || m.Seq <= prev {
			t.Fatalf("Seq %d, Prev %d behind Seq %d, want a chain", m.Seq, m.Prev, prev)
		}
		prev = m.Seq
	}
}

func transient(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	first, passing, second := message(1), message(2), message(3)
	passing.Transient = true
	for _, m := range []*hub.Message{first, passing, second} {
		j.Append("r", m)
	}
	for i, m := range []*hub.Message{first, passing, second} {
		if e := o.next(); e.Message != m || e.Err != nil {
			t.Errorf("entry %d = %+v, want message %d", i, e, i)
		}
	}
	if passing.Seq != 0 || passing.Prev != 0 || second.Prev != first.Seq {
		t.Errorf("transient Seq %d, Prev %d, next Prev %d, want 0, 0, %d", passing.Seq, passing.Prev, second.Prev, first.Seq)
	}
	p := o.page(hub.PageQuery{Limit: 10})
	if got, want := seqs(p.Messages), []uint64{first.Seq, second.Seq}; !slices.Equal(got, want) {
		t.Errorf("Page = %v, want %v", got, want)
	}
}

// A pageCase asks with positions 1 to n for the room's n messages, 0 for none, and
// wants positions from to to.
type pageCase struct {
	after, before, limit, bytes int
	newest                      bool
	from, to                    int
}

func (o *opened) check(said []*hub.Message, cases []pageCase) {
	o.t.Helper()
	seq := func(place int) uint64 {
		if place == 0 {
			return 0
		}
		return said[place-1].Seq
	}
	for _, c := range cases {
		q := hub.PageQuery{After: seq(c.after), Before: seq(c.before), Limit: c.limit, Bytes: c.bytes, Newest: c.newest}
		want := []uint64{}
		if c.from > 0 {
			want = seqs(said[c.from-1 : c.to])
		}
		p := o.page(q)
		if got := seqs(p.Messages); !slices.Equal(got, want) {
			o.t.Errorf("Page(%+v) = %v, want %v", q, got, want)
		}
		if p.Head != said[len(said)-1].Seq || p.Epoch != o.start.Epoch {
			o.t.Errorf("Page(%+v) at %+v, want head %d, epoch %s", q, p.Position, said[len(said)-1].Seq, o.start.Epoch)
		}
	}
}

func pages(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	said := o.say(10)
	o.check(said, []pageCase{
		{limit: 100, from: 1, to: 10},
		{limit: 3, from: 1, to: 3},
		{limit: 3, newest: true, from: 8, to: 10},
		{after: 4, limit: 3, from: 5, to: 7},
		{after: 9, limit: 3, from: 10, to: 10},
		{after: 10, limit: 3},
		{before: 4, limit: 100, from: 1, to: 3},
		{before: 1, limit: 100},
		{before: 6, limit: 2, newest: true, from: 4, to: 5},
		{after: 4, before: 8, limit: 100, from: 5, to: 7},
		{after: 4, before: 8, limit: 2, newest: true, from: 6, to: 7},
		{after: 4, before: 5, limit: 100},
		{after: 8, before: 4, limit: 100},
		{limit: 100, bytes: 1, from: 1, to: 1},
		{limit: 100, bytes: 23, from: 1, to: 1},
		{limit: 100, bytes: 24, from: 1, to: 2},
		{limit: 100, bytes: 30, newest: true, from: 9, to: 10},
		{limit: 1, bytes: 30, newest: true, from: 10, to: 10},
	})
	for _, q := range []hub.PageQuery{
		{After: math.MaxUint64, Limit: 10},
		{After: math.MaxUint64 - 1, Before: math.MaxUint64, Limit: 10, Newest: true},
		{After: said[9].Seq + 1, Limit: 10},
	} {
		if p := o.page(q); len(p.Messages) > 0 {
			t.Errorf("Page(%+v) = %v, want none", q, seqs(p.Messages))
		}
	}
	if p := o.page(hub.PageQuery{Before: math.MaxUint64, Limit: 10}); len(p.Messages) != 10 {
		t.Errorf("Page before the highest number = %v, want all", seqs(p.Messages))
	}
}

func trimmed(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	said := o.say(10)
	o.check(said, []pageCase{
		{limit: 100, from: 8, to: 10},
		{after: 2, limit: 2, from: 8, to: 9},
		{after: 7, limit: 2, from: 8, to: 9},
		{after: 8, limit: 2, from: 9, to: 10},
		{before: 8, limit: 2},
		{before: 9, limit: 2, newest: true, from: 8, to: 8},
	})
	p := o.page(hub.PageQuery{Limit: 1})
	if p.First != said[7].Seq || p.Floor != said[6].Seq {
		t.Errorf("First %d, Floor %d, want %d and %d", p.First, p.Floor, said[7].Seq, said[6].Seq)
	}
}

func contents(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	m := message(1)
	m.Idempotent = true
	empty := message(2)
	empty.Payload = nil
	large := message(3)
	large.Payload = make([]byte, 60_000)
	want := []*hub.Message{m, empty, large}
	for _, m := range want {
		j.Append("r", m)
		if e := o.next(); e.Err != nil {
			t.Fatalf("Append = %v", e.Err)
		}
	}
	for _, c := range []struct {
		newest bool
		want   []uint64
	}{
		{false, []uint64{m.Seq, empty.Seq}},
		{true, []uint64{large.Seq}},
	} {
		p := o.page(hub.PageQuery{Limit: 10, Bytes: 100, Newest: c.newest})
		if got := seqs(p.Messages); !slices.Equal(got, c.want) {
			t.Errorf("100 bytes, newest %v: %v, want %v", c.newest, got, c.want)
		}
	}
	got := o.page(hub.PageQuery{Limit: 10}).Messages
	if len(got) != len(want) {
		t.Fatalf("Page has %d messages, want %d", len(got), len(want))
	}
	for i, m := range want {
		g := *got[i]
		if string(g.Payload) != string(m.Payload) {
			t.Errorf("message %d has %d bytes of payload, want the %d that were said", i, len(g.Payload), len(m.Payload))
		}
		g.Payload = m.Payload
		if !reflect.DeepEqual(g, *m) {
			t.Errorf("message %d = %+v, want %+v", i, g, *m)
		}
	}
}

func separate(t *testing.T, j hub.Journal) {
	a, b := openRoom(t, j, "a"), openRoom(t, j, "b")
	var wg sync.WaitGroup
	said := make([][]*hub.Message, 2)
	for i, o := range []*opened{a, b} {
		wg.Go(func() {
			for range 200 {
				said[i] = append(said[i], o.say(1)...)
			}
		})
	}
	wg.Wait()
	for i, o := range []*opened{a, b} {
		got := o.page(hub.PageQuery{Limit: 1000}).Messages
		if !slices.Equal(seqs(got), seqs(said[i])) {
			t.Errorf("room %s has %d messages, want its own 200", o.name, len(got))
		}
		prev := uint64(0)
		for _, m := range got {
			if m.Prev != prev {
				t.Fatalf("room %s: Seq %d has Prev %d, want %d", o.name, m.Seq, m.Prev, prev)
			}
			prev = m.Seq
		}
	}
}

func concurrent(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	var wg sync.WaitGroup
	for _, newest := range []bool{false, true} {
		wg.Go(func() {
			after, last := uint64(0), ""
			for last != "end" {
				p := o.page(hub.PageQuery{After: after, Limit: 3, Newest: newest})
				after = max(after, p.Floor)
				for i, m := range p.Messages {
					if m.Prev != after && (i > 0 || !newest) {
						t.Errorf("Seq %d has Prev %d, want %d", m.Seq, m.Prev, after)
					}
					after, last = m.Seq, string(m.Payload)
				}
				if after > p.Head {
					t.Errorf("a page up to Seq %d at head %d", after, p.Head)
				}
			}
		})
	}
	o.say(500)
	end := message(0)
	end.Payload = []byte("end")
	j.Append("r", end)
	wg.Wait()
}

func reentrant(t *testing.T, j hub.Journal) {
	done := make(chan []uint64, 1) // the page; sent once, never closed
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
	select {
	case got := <-done:
		if len(got) != 2 {
			t.Errorf("Page = %v, want two messages", got)
		}
	case <-time.After(patience):
		t.Fatal("deliver cannot use the journal")
	}
}

func reopen(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	said := o.say(5)
	j.Close("r")
	j.Close("never opened")
	again := openRoom(t, j, "r")
	more := again.say(1)
	switch again.start {
	case hub.Position{Head: said[4].Seq, Epoch: o.start.Epoch}:
		if more[0].Prev != said[4].Seq {
			t.Errorf("Prev %d, want %d: the room goes on", more[0].Prev, said[4].Seq)
		}
	default:
		if again.start.Head != 0 || again.start.Epoch == o.start.Epoch || more[0].Prev != 0 {
			t.Errorf("Open = %+v after %+v, Prev %d, want another epoch from 0", again.start, o.start, more[0].Prev)
		}
	}
}
