package hub_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

// overhead is the part of a message's size beside its payload.
const overhead = 160

func TestInboxIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j, InboxBytes: 1000})
		m, o := join(t, h, room, lines, hub.Author{ID: "a"})
		hidden := &hub.Form{Message: func(dst []byte, m *hub.Message) []byte { return dst }}
		paused, pausedOwner := join(t, h, room, hidden, hub.Author{ID: "b"}) // is woken only for space
		_, calm := join(t, h, room, hidden, hub.Author{ID: "c"})             // is never woken
		synctest.Wait()

		exact := strings.Repeat("x", 500-overhead)
		for i := range 2 {
			if !m.Say(text(exact)) {
				t.Fatalf("Say %d = false, want the inbox to hold 1000 bytes", i)
			}
		}
		kept := text("")
		if m.Say(kept) || paused.Say(text("")) {
			t.Fatal("Say = true with 1000 of 1000 bytes taken")
		}
		if _, err := h.Publish(context.Background(), room, text("")); !errors.Is(err, hub.ErrBusy) {
			t.Errorf("Publish = %v, want %v", err, hub.ErrBusy)
		}
		synctest.Wait()
		if got := h.InboxBytes(room); got != 1000 {
			t.Errorf("with the journal: %d bytes, want 1000 until they have come back", got)
		}
		if o.woken() || pausedOwner.woken() {
			t.Error("woken while there is no space")
		}
		j.Release(journaltest.Store, 1)
		synctest.Wait()
		if o.woken() {
			t.Error("woken before the message has come back")
		}
		j.Release(journaltest.Deliver, 1)
		synctest.Wait()
		if !o.woken() || !pausedOwner.woken() {
			t.Error("not woken with space again")
		}
		if calm.woken() {
			t.Error("woken without waiting for space")
		}
		if !m.Say(kept) {
			t.Error("Say = false with 500 of 1000 bytes taken")
		}
		j.Free()
		synctest.Wait()
		if got, want := read(t, m), exact+"\n"+exact+"\n\n"; got != want {
			t.Errorf("read %d bytes, want %d", len(got), len(want))
		}
		if got := h.InboxBytes(room); got != 0 {
			t.Errorf("%d bytes with everything published, want 0", got)
		}
		h.Close()
		j.Stop()
	})
}

func TestOneMessageAlwaysFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{InboxBytes: 1})
		defer h.Close()
		m, _ := join(t, h, room, lines, hub.Author{})
		for _, s := range []string{"", strings.Repeat("x", 1<<20), "y"} {
			if !m.Say(text(s)) {
				t.Errorf("Say of %d bytes into an empty inbox = false", len(s))
			}
			synctest.Wait()
			if got := read(t, m); got != s+"\n" {
				t.Errorf("read %d bytes, want %d", len(got), len(s)+1)
			}
		}
	})
}

// A message that the journal refuses frees its space, and so do its retries.
func TestRefusedFreesTheInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true, Refuse: func(*hub.Message) error { return errRefused }})
		h := hub.New(hub.Options{Journal: j})
		m, o := join(t, h, room, lines, hub.Author{})
		m.Say(retry(1, "x"))
		m.Say(retry(1, "x"))
		m.Say(text("y"))
		synctest.Wait()
		o.take()
		j.Free()
		synctest.Wait()
		var ids []hub.ID
		for _, n := range o.take() {
			r, ok := n.(hub.Refused)
			if !ok || !errors.Is(r.Err, errRefused) {
				t.Errorf("notice %+v, want Refused", n)
			}
			ids = append(ids, r.ID)
		}
		if len(ids) != 3 || ids[0] != (hub.ID{1}) || ids[1] != (hub.ID{1}) || ids[2] != (hub.ID{}) {
			t.Errorf("refused %x, want id 1 twice and no id once", ids)
		}
		if got := h.InboxBytes(room); got != 0 {
			t.Errorf("%d bytes with everything refused, want 0", got)
		}
		h.Close()
		j.Stop()
	})
}

// Five members say a hundred messages each, as fast as they can, into an inbox for two.
func TestPausedLoseNothing(t *testing.T) {
	h := hub.New(hub.Options{InboxBytes: 2 * (overhead + 8)})
	defer h.Close()
	reader := startReader(t, h, room)
	var wg sync.WaitGroup
	for n := range 5 {
		wg.Go(func() {
			w := make(wake, 1)
			m, err := h.Join(room, lines, hub.Author{}, w)
			if err != nil {
				t.Error(err)
				return
			}
			<-w
			for i := range 100 {
				for !m.Say(numbered(n, i)) {
					<-w
				}
			}
			m.Leave()
		})
	}
	wg.Wait()
	if got, want := reader.sum(t, 500), sum(journaled(t, h, 500)); got != want {
		t.Error("the reader has seen another order than the journal's")
	}
	if lost := reader.lost(5, 100); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
}
