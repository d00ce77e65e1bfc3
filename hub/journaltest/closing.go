package journaltest

import (
	"errors"
	"slices"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// This file tests the parts of the contract about rooms that are closed and opened again, and
// about refusals.

// goesOn tells whether a room that was opened again goes on where it was. If it does not, the
// room must have started over in another epoch, and goesOn fails the test otherwise.
func goesOn(t *testing.T, was, is *opened, head uint64) bool {
	t.Helper()
	if is.start == (hub.Position{Head: head, Epoch: was.start.Epoch}) {
		return true
	}
	if is.start.Head != 0 || is.start.Epoch == was.start.Epoch || is.start.Epoch == "" || len(is.recent) > 0 {
		t.Errorf("Open = %+v with %d ids after %+v, want the same epoch and head %d, or another epoch from 0 without ids",
			is.start, len(is.recent), was.start, head)
	}
	return false
}

func reopen(t *testing.T, j hub.Journal) {
	stays := openRoom(t, j, "stays")
	ofStays := stays.say(3)
	o := openRoom(t, j, "r")
	for range 3 {
		said := o.say(5)
		j.Close("r")
		again := openRoom(t, j, "r")
		prev, kept := uint64(0), 0
		if goesOn(t, o, again, said[4].Seq) {
			prev, kept = said[4].Seq, 5
		}
		more := again.say(1)
		chain(t, prev, more)
		p := again.page(hub.PageQuery{Limit: 100})
		if n := len(p.Messages); n < kept+1 || n > 1 && kept == 0 {
			t.Errorf("%d messages, want the new one and all before it, or the new one alone", n)
		}
		o.none() // the deliver function of the first Open must not be called any more
		o = again
	}
	stays.wantPage(hub.PageQuery{Limit: 10}, ofStays)
}

// remembered tests that a durable room still knows its ids after it was closed and opened
// again: those of all idempotent messages, including messages that are no longer kept.
func remembered(t *testing.T, j hub.Journal) {
	o := openRoom(t, j, "r")
	var want []hub.Stored
	var last uint64
	for n := range 20 {
		m := message(n)
		m.Idempotent = n%2 == 0
		o.append(m)
		last = m.Seq
		if m.Idempotent {
			want = append(want, hub.Stored{ID: m.ID, Seq: m.Seq, Prev: m.Prev, At: m.At})
		}
	}
	for range 2 {
		j.Close("r")
		again := openRoom(t, j, "r")
		if !goesOn(t, o, again, last) {
			return
		}
		if !slices.Equal(again.recent, want) {
			t.Errorf("Open has ids %+v, want %+v, oldest first", again.recent, want)
		}
	}
}

// refused tests that messages come back with an error when nothing can be stored.
func refused(t *testing.T, j hub.Journal, breakIt func()) {
	o := openRoom(t, j, "r")
	said := o.say(5)
	breakIt()
	for n := range 3 {
		m := message(100 + n)
		m.Idempotent = true
		returns(t, "Append", func() { j.Append("r", m) })
		e := o.next()
		if e.Message != m || !errors.Is(e.Err, hub.ErrUnavailable) || e.Repeated {
			t.Errorf("%+v was delivered, want the message with %v", e, hub.ErrUnavailable)
		}
		if m.Seq != 0 || m.Prev != 0 {
			t.Errorf("a refused message has Seq %d, Prev %d, want none", m.Seq, m.Prev)
		}
	}
	o.none()
	p := o.wantPage(hub.PageQuery{Limit: 10}, said)
	if p.Head != said[4].Seq {
		t.Errorf("head %d, want %d: refused messages have no place", p.Head, said[4].Seq)
	}
}
