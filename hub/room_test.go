package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// A retry is answered to its sender alone, with the place of the first message, also when
// that one is no longer kept.
func TestRetryOutlivesTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{Journal: hub.NewMemory(hub.MemoryOptions{Messages: 3})})
		defer h.Close()
		m, o := join(t, h, room, lines, hub.Author{ID: "a"})
		_, otherOwner := join(t, h, room, lines, hub.Author{ID: "b"})
		publish(t, h, room, text("first"))
		m.Say(retry(1, "どや"))
		synctest.Wait()
		said := time.Now().UnixMilli()
		for range 10 {
			publish(t, h, room, text("more"))
		}
		time.Sleep(9 * time.Minute)
		read(t, m)
		o.take()
		otherOwner.take()

		m.Say(retry(1, "どや"))
		synctest.Wait()
		got := one[hub.Repeated](t, o).Message
		if got.Seq != 2 || got.Prev != 1 || got.At != said {
			t.Errorf("retry answered with Seq %d, Prev %d, At %d, want 2, 1, %d", got.Seq, got.Prev, got.At, said)
		}
		if more := read(t, m); more != "" {
			t.Errorf("the retry was shown: %q", more)
		}
		if n := otherOwner.take(); len(n) > 0 {
			t.Errorf("somebody else was told %+v", n)
		}
		if got := publish(t, h, room, retry(1, "どや")); got.Seq != 2 || got.Prev != 1 || got.At != said {
			t.Errorf("Publish = Seq %d, Prev %d, At %d, want 2, 1, %d", got.Seq, got.Prev, got.At, said)
		}
	})
}

// Retries of a message that is at the journal wait for its outcome.
func TestRetryInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := errRefused
		j := journaltest.NewAsync(journaltest.Options{Held: true, Refuse: func(*hub.Message) error { return refuse }})
		h := hub.New(hub.Options{Journal: j})
		m, o := join(t, h, room, lines, hub.Author{ID: "a"})
		m.Say(retry(1, "x"))
		synctest.Wait()
		o.take()
		m.Say(retry(1, "x"))
		synctest.Wait()
		if n := o.take(); len(n) > 0 {
			t.Errorf("told %+v before there is an outcome", n)
		}
		j.Release(journaltest.Store, 1)
		synctest.Wait()
		j.Release(journaltest.Deliver, 1)
		synctest.Wait()
		if n := o.take(); len(n) != 2 {
			t.Errorf("told %+v, want Refused twice", n)
		}

		refuse = nil // a refused message may be said again
		m.Say(retry(1, "x"))
		m.Say(retry(1, "x"))
		synctest.Wait()
		j.Free()
		synctest.Wait()
		if got := one[hub.Repeated](t, o).Message; got.Seq != 1 {
			t.Errorf("retry answered with Seq %d, want 1", got.Seq)
		}
		if got := read(t, m); got != "x\n" {
			t.Errorf("read %q, want it once", got)
		}
		h.Close()
		j.Stop()
	})
}

// A transient message has no Seq, and its retry is answered all the same.
func TestRetryOfATransientMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		m, o := join(t, h, room, lines, hub.Author{})
		for range 2 {
			x := retry(1, "x")
			x.Transient = true
			m.Say(x)
			synctest.Wait()
		}
		if n := o.take(); len(n) != 2 { // Joined, Repeated
			t.Errorf("told %+v, want Repeated", n)
		}
		if got := read(t, m); got != "x\n" {
			t.Errorf("read %q, want it once", got)
		}
	})
}

// A message that is not Idempotent is stored as often as it is said.
func TestNoDeduplicationUnlessAsked(t *testing.T) {
	h := hub.New(hub.Options{})
	defer h.Close()
	for want := uint64(1); want <= 2; want++ {
		if got := publish(t, h, room, &hub.Message{ID: hub.ID{1}}); got.Seq != want {
			t.Errorf("Seq %d, want %d", got.Seq, want)
		}
	}
}

// Left comes when everything that was said is in the log before End and all retries are
// answered. Nothing comes after it.
func TestLeaveAfterEverythingSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j})
		m, o := join(t, h, room, lines, hub.Author{ID: "a"})
		other, otherOwner := join(t, h, room, lines, hub.Author{ID: "b"})
		m.Say(retry(1, "one"))
		m.Say(text("two"))
		other.Say(retry(1, "one"))
		m.Leave()
		other.Leave()
		synctest.Wait()
		one[hub.Joined](t, o)
		one[hub.Joined](t, otherOwner)

		step := func() {
			j.Release(journaltest.Store, 1)
			synctest.Wait()
			j.Release(journaltest.Deliver, 1)
			synctest.Wait()
		}
		step()
		if n := o.take(); len(n) > 0 {
			t.Errorf("told %+v with a message on its way, want nothing", n)
		}
		if n := otherOwner.take(); len(n) != 2 || fmt.Sprintf("%T %T", n[0], n[1]) != "hub.Repeated hub.Left" {
			t.Errorf("told %+v, want Repeated and then Left", n)
		}
		step()
		if end := one[hub.Left](t, o).End; end != int64(len("one\ntwo\n")) {
			t.Errorf("Left.End = %d, want %d", end, len("one\ntwo\n"))
		}
		if got := read(t, m); got != "one\ntwo\n" {
			t.Errorf("read %q after Left, want both messages", got)
		}
		h.Close()
		j.Stop()
	})
}

func TestJoinStandsAtTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		m, o := join(t, h, room, lines, hub.Author{})
		synctest.Wait()
		if j := one[hub.Joined](t, o); j.Head != 0 || j.Epoch == "" {
			t.Errorf("%+v, want head 0 and an epoch", j)
		}
		for range 3 {
			publish(t, h, room, text("before"))
		}
		late, lateOwner := join(t, h, room, lines, hub.Author{})
		synctest.Wait()
		if j := one[hub.Joined](t, lateOwner); j.Head != 3 {
			t.Errorf("Joined with head %d, want 3", j.Head)
		}
		m.Say(text("after"))
		synctest.Wait()
		if got := read(t, late); got != "after\n" {
			t.Errorf("read %q, want what came after", got)
		}
	})
}

// A pass wakes each member once, however many messages it publishes.
func TestOneWakeForManyMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		defer h.Close()
		m, _ := join(t, h, room, lines, hub.Author{})
		_, o := join(t, h, room, lines, hub.Author{})
		hidden := &hub.Form{Message: func(dst []byte, m *hub.Message) []byte { return dst }}
		_, blind := join(t, h, room, hidden, hub.Author{})
		synctest.Wait()
		release := h.Hold(room)
		for range 100 {
			m.Say(text("x"))
		}
		synctest.Wait()
		o.woken()
		blind.woken()
		release()
		synctest.Wait()
		if o.wakes != 1 {
			t.Errorf("woken %d times for 100 messages, want once", o.wakes)
		}
		if blind.woken() {
			t.Error("woken for messages that its form does not show")
		}
	})
}

// unopenable is a journal whose Open fails at first.
type unopenable struct {
	hub.Journal
	failures int
}

func (j *unopenable) Open(room string, deliver func(hub.Entry)) (hub.Opened, error) {
	if j.failures > 0 {
		j.failures--
		return hub.Opened{}, errRefused
	}
	return j.Journal.Open(room, deliver)
}

func TestJournalDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{Journal: &unopenable{hub.NewMemory(hub.MemoryOptions{}), 3}})
		defer h.Close()
		m, o := join(t, h, room, lines, hub.Author{ID: "a"})
		synctest.Wait()
		if n := one[hub.Refused](t, o); !errors.Is(n.Err, errRefused) {
			t.Errorf("Refused with %v, want %v", n.Err, errRefused)
		}
		m.Rename("B")
		m.Leave()
		synctest.Wait()
		if n := one[hub.Left](t, o); n.End != 0 {
			t.Errorf("Left.End = %d, want 0", n.End)
		}
		for range 2 {
			if _, err := h.Publish(context.Background(), room, retry(1, "x")); !errors.Is(err, errRefused) {
				t.Errorf("Publish = %v, want %v", err, errRefused)
			}
		}
		if got := h.InboxBytes(room); got != 0 {
			t.Errorf("the inbox holds %d bytes, want 0", got)
		}
		if got := publish(t, h, room, retry(1, "x")); got.Seq != 1 { // the next request tries again
			t.Errorf("Publish = Seq %d, want 1", got.Seq)
		}
	})
}

// Messages of other processes are shown and remembered like those of this one.
func TestOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Stride: 5})
		h := hub.New(hub.Options{Journal: j})
		m, o := join(t, h, room, lines, hub.Author{})
		synctest.Wait()
		o.take()
		theirs := retry(1, "theirs")
		theirs.At = 7
		j.Append(room, theirs)
		synctest.Wait()
		m.Say(retry(1, "theirs"))
		m.Say(text("ours"))
		synctest.Wait()
		if got := read(t, m); got != "theirs\nours\n" {
			t.Errorf("read %q, want both, each once", got)
		}
		if got := one[hub.Repeated](t, o).Message; got.Seq != 5 || got.At != 7 {
			t.Errorf("retry answered with Seq %d, At %d, want 5 and 7", got.Seq, got.At)
		}
		h.Close()
		j.Stop()
	})
}
