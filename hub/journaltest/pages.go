package journaltest

import (
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// This file tests the parts of the contract about history: Page, and which messages are kept.

// A pageCase is a query, with the page that it must return. Messages are named by their place
// in the room, from 1, because a journal chooses its own Seq. 0 means that there is no such
// message or limit.
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
		var want []*hub.Message
		if c.from > 0 {
			want = said[c.from-1 : c.to]
		}
		p := o.wantPage(q, want)
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
		{limit: 10, from: 1, to: 10},
		{limit: math.MaxInt, from: 1, to: 10},
		{after: 4, limit: 3, from: 5, to: 7},
		{after: 9, limit: 3, from: 10, to: 10},
		{after: 10, limit: 3},
		{after: 10, limit: 3, newest: true},
		{after: 4, limit: 3, newest: true, from: 8, to: 10},
		{after: 8, limit: 3, newest: true, from: 9, to: 10},
		{before: 4, limit: 100, from: 1, to: 3},
		{before: 1, limit: 100},
		{before: 1, limit: 100, newest: true},
		{before: 2, limit: 100, newest: true, from: 1, to: 1},
		{before: 6, limit: 2, newest: true, from: 4, to: 5},
		{before: 6, limit: 2, from: 1, to: 2},
		{after: 4, before: 8, limit: 100, from: 5, to: 7},
		{after: 4, before: 8, limit: 2, from: 5, to: 6},
		{after: 4, before: 8, limit: 2, newest: true, from: 6, to: 7},
		{after: 4, before: 5, limit: 100},
		{after: 4, before: 4, limit: 100},
		{after: 8, before: 4, limit: 100},
		{after: 8, before: 4, limit: 100, newest: true},
		{limit: 100, bytes: 1, from: 1, to: 1},
		{limit: 100, bytes: 23, from: 1, to: 1},
		{limit: 100, bytes: 24, from: 1, to: 2},
		{limit: 100, bytes: 120, from: 1, to: 10},
		{limit: 100, bytes: 1, newest: true, from: 10, to: 10},
		{limit: 100, bytes: 30, newest: true, from: 9, to: 10},
		{limit: 1, bytes: 30, newest: true, from: 10, to: 10},
		{after: 4, before: 8, limit: 100, bytes: 24, newest: true, from: 6, to: 7},
	})
	p := o.page(hub.PageQuery{Limit: 1})
	if p.First != said[0].Seq || p.Floor != 0 {
		t.Errorf("First %d, Floor %d, want %d and 0", p.First, p.Floor, said[0].Seq)
	}
}

// queryBetween asks for pages at numbers that lie between the numbers of two messages.
func queryBetween(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	other := openRoom(t, j, "other") // its messages may have taken numbers in between
	var said []*hub.Message
	for range 5 {
		said = append(said, o.say(1)...)
		other.say(1)
	}
	last := said[4].Seq
	for _, newest := range []bool{false, true} {
		for _, after := range []uint64{last, last + 1, math.MaxUint64 - 1, math.MaxUint64} {
			o.wantPage(hub.PageQuery{After: after, Limit: 10, Newest: newest}, nil)
			o.wantPage(hub.PageQuery{After: after, Before: math.MaxUint64, Limit: 10, Newest: newest}, nil)
		}
		for _, before := range []uint64{last + 1, last + 2, math.MaxUint64} {
			o.wantPage(hub.PageQuery{Before: before, Limit: 10, Newest: newest}, said)
		}
		for i, m := range said {
			if i > 0 && said[i-1].Seq < m.Seq-1 && o.page(hub.PageQuery{After: m.Seq - 1, Limit: 10}).Known {
				o.t.Errorf("position %d is known, although no message of the room has it", m.Seq-1)
			}
			if !o.page(hub.PageQuery{After: m.Seq, Limit: 10}).Known {
				o.t.Errorf("position %d is not known, although a message that is kept has it", m.Seq)
			}
			o.wantPage(hub.PageQuery{After: m.Seq - 1, Limit: 10, Newest: newest}, said[i:])
			o.wantPage(hub.PageQuery{Before: m.Seq + 1, Limit: 10, Newest: newest}, said[:i+1])
			o.wantPage(hub.PageQuery{After: m.Seq - 1, Before: m.Seq + 1, Limit: 10, Newest: newest}, said[i:i+1])
		}
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
		{after: 10, limit: 2},
		{before: 8, limit: 2},
		{before: 3, limit: 2, newest: true},
		{before: 9, limit: 2, newest: true, from: 8, to: 8},
		{after: 2, limit: 2, newest: true, from: 9, to: 10},
	})
	for _, q := range []hub.PageQuery{{Limit: 1}, {After: said[9].Seq, Limit: 1}, {Before: 1, Limit: 1}} {
		if p := o.page(q); p.First != said[7].Seq || p.Floor != said[6].Seq {
			t.Errorf("Page(%+v): First %d, Floor %d, want %d and %d", q, p.First, p.Floor, said[7].Seq, said[6].Seq)
		}
	}
}

func immutable(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	said := o.say(3)
	p := o.wantPage(hub.PageQuery{Limit: 10}, said)
	o.say(20)
	if got := seqs(p.Messages); !slices.Equal(got, seqs(said)) {
		t.Errorf("the page has become %v, want %v as before", got, seqs(said))
	}
	for i, m := range p.Messages {
		if string(m.Payload) != string(message(i).Payload) {
			t.Errorf("message %d has become %q", i, m.Payload)
		}
	}
}

func retention(t *testing.T, j hub.Journal) {
	rooms := []*opened{openRoom(t, j, "loud"), openRoom(t, j, "quiet")}
	said := make([][]*hub.Message, len(rooms))
	for n := range 300 {
		said[0] = append(said[0], rooms[0].say(1)...)
		if n%100 == 0 {
			said[1] = append(said[1], rooms[1].say(1)...)
		}
		if n%50 == 0 {
			for i, o := range rooms {
				all := said[i]
				kept := all[max(0, len(all)-5):]
				p := o.wantPage(hub.PageQuery{Limit: 10}, kept)
				if len(kept) > 0 && (p.First != kept[0].Seq || p.Floor != kept[0].Prev) {
					t.Errorf("First %d, Floor %d, want %d and %d", p.First, p.Floor, kept[0].Seq, kept[0].Prev)
				}
			}
		}
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
	nobody := message(4)
	nobody.From = hub.Author{}
	binary := message(5)
	binary.Binary, binary.Payload = true, []byte{0, 0xff, 0xfe, '\n', 0}
	want := []*hub.Message{m, empty, large, nobody, binary}
	var was []hub.Message
	for _, m := range want {
		was = append(was, *m)
		o.append(m)
		was[len(was)-1].Seq, was[len(was)-1].Prev = m.Seq, m.Prev
	}
	o.wantPage(hub.PageQuery{Limit: 10, Bytes: 100}, want[:2])
	o.wantPage(hub.PageQuery{Limit: 10, Bytes: 100, Newest: true}, want[3:])
	o.wantPage(hub.PageQuery{Before: nobody.Seq, Limit: 10, Bytes: 100, Newest: true}, want[2:3])
	got := o.page(hub.PageQuery{Limit: 10}).Messages
	if len(got) != len(want) {
		t.Fatalf("Page has %d messages, want %d", len(got), len(want))
	}
	for i, m := range was {
		g := *got[i]
		if string(g.Payload) != string(m.Payload) {
			t.Errorf("message %d has %d bytes of payload, want the %d that were said", i, len(g.Payload), len(m.Payload))
		}
		g.Payload = m.Payload
		if !reflect.DeepEqual(g, m) {
			t.Errorf("message %d = %+v, want %+v", i, g, m)
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
