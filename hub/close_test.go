package hub_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
)

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j, MaxRooms: 2})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := h.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping with a journal that does not answer = %v, want %v", err, context.DeadlineExceeded)
		}
		j.Free()
		for range 3 {
			if err := h.Ping(context.Background()); err != nil {
				t.Errorf("Ping = %v", err)
			}
		}
		for name := range h.Rooms() {
			h.Page(name, hub.PageQuery{Limit: 1}, func(p hub.Page, err error) {
				if p.Head != 0 || len(p.Messages) > 0 {
					t.Errorf("Ping has stored %+v", p)
				}
			})
		}
		for _, name := range []string{"a", "b"} { // the hidden room takes none of the two places
			join(t, h, name, lines, hub.Author{})
		}
		if got := len(h.Rooms()); got != 3 {
			t.Errorf("%d rooms, want a, b and the hidden one", got)
		}
		h.Close()
		if err := h.Ping(context.Background()); !errors.Is(err, hub.ErrClosed) {
			t.Errorf("Ping = %v, want %v", err, hub.ErrClosed)
		}
		j.Stop()
	})
}

// Close publishes everything that was said before, waits for a slow journal, and refuses
// new members and messages.
func TestClosePublishesWhatWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j})
		m, o := join(t, h, room, lines, hub.Author{})
		synctest.Wait()
		release := h.Hold(room)
		m.Say(text("one"))
		m.Say(text("two"))
		var got *hub.Message
		var err error
		go func() { got, err = h.Publish(context.Background(), room, text("three")) }()
		synctest.Wait()
		m.Leave()
		closed := false
		go func() {
			h.Close()
			closed = true
		}()
		synctest.Wait()
		release()
		synctest.Wait()
		if closed {
			t.Error("closed with messages at the journal")
		}
		j.Free()
		synctest.Wait()
		if !closed {
			t.Error("not closed with everything published")
		}
		if text := read(t, m); text != "one\ntwo\nthree\n" {
			t.Errorf("read %q, want all three", text)
		}
		if err != nil || got.Seq != 3 {
			t.Errorf("Publish = %+v, %v, want Seq 3", got, err)
		}
		if n := o.take(); len(n) != 2 { // Joined, Left
			t.Errorf("told %+v, want Left", n)
		}
		if _, err := h.Join(room, lines, hub.Author{}, nobody{}); !errors.Is(err, hub.ErrClosed) {
			t.Errorf("Join = %v, want %v", err, hub.ErrClosed)
		}
		if _, err := h.Publish(context.Background(), room, text("x")); !errors.Is(err, hub.ErrClosed) {
			t.Errorf("Publish = %v, want %v", err, hub.ErrClosed)
		}
		h.Close() // a second call does nothing
		j.Stop()
	})
}

// Flush waits until everything that was said in all rooms is published, or its context ends.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := journaltest.NewAsync(journaltest.Options{Held: true})
		h := hub.New(hub.Options{Journal: j})
		if err := h.Flush(context.Background()); err != nil {
			t.Errorf("Flush without rooms = %v", err)
		}
		for _, room := range []string{"a", "b", "silent"} {
			m, _ := join(t, h, room, lines, hub.Author{})
			synctest.Wait()
			if room != "silent" {
				m.Say(text("x"))
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := h.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with a journal that does not answer = %v, want %v", err, context.DeadlineExceeded)
		}
		flushed := false
		go func() {
			if err := h.Flush(context.Background()); err != nil {
				t.Errorf("Flush = %v", err)
			}
			flushed = true
		}()
		synctest.Wait()
		j.Release(journaltest.Store, 2)
		synctest.Wait()
		j.Release(journaltest.Deliver, 1)
		synctest.Wait()
		if flushed {
			t.Error("flushed with one message of two published")
		}
		j.Release(journaltest.Deliver, 1)
		synctest.Wait()
		if !flushed {
			t.Error("not flushed with both messages published")
		}
		h.Close()
		if err := h.Flush(context.Background()); err != nil {
			t.Errorf("Flush after Close = %v", err)
		}
		j.Stop()
	})
}

// Flush returns when the hub is closed meanwhile.
func TestFlushWhileClosing(t *testing.T) {
	for range 2000 { // only few of the calls overlap
		h := hub.New(hub.Options{})
		for i := range 3 {
			publish(t, h, fmt.Sprint(i), text("x"))
		}
		done := make(chan error, 1) // what Flush returned; sent once, never closed
		go func() { done <- h.Flush(context.Background()) }()
		runtime.Gosched()
		h.Close()
		if err := <-done; err != nil {
			t.Errorf("Flush = %v", err)
		}
	}
}
