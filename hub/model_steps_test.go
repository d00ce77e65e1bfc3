package hub_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"pgregory.net/rapid"
)

// play takes steps at random.
func (w *world) play() {
	small := rapid.IntRange(1, 4)
	steps := []func(c *client){
		(*client).join, (*client).join,
		(*client).say, (*client).say, (*client).say, (*client).say,
		func(c *client) { c.pump(rapid.IntRange(0, 60).Draw(w.T, "bytes")) },
		func(c *client) { c.pump(everything) },
		func(c *client) { c.pump(everything) },
		(*client).interject,
		(*client).cut,
		(*client).leave,
		(*client).rename,
		func(*client) { w.publish() },
		func(*client) { w.elsewhere() },
		func(*client) { w.hold() },
		func(*client) { w.free() },
		func(*client) { w.step(journaltest.Store, small.Draw(w.T, "store")) },
		func(*client) { w.step(journaltest.Deliver, small.Draw(w.T, "deliver")) },
		func(*client) { w.step(journaltest.Store, 9); w.settle(); w.step(journaltest.Deliver, 9) },
		func(*client) { w.step(journaltest.Answer, small.Draw(w.T, "answer")) },
		func(*client) { w.trim() },
		func(*client) { time.Sleep(rapid.SampledFrom([]time.Duration{1, 20}).Draw(w.T, "s") * time.Second) },
	}
	for range rapid.SampledFrom([]int{5, 50, 200, 500}).Draw(w.T, "steps") {
		step := rapid.IntRange(0, len(steps)-1).Draw(w.T, "step")
		c := rapid.IntRange(0, len(w.clients)-1).Draw(w.T, "client")
		steps[step](w.clients[c])
		w.settle()
	}
}

func (w *world) hold() {
	if w.release == nil {
		w.release = w.hub.Hold(room)
	}
}

func (w *world) free() {
	if w.release != nil {
		w.release()
		w.release = nil
	}
}

func (w *world) step(s journaltest.Stage, n int) {
	if w.async != nil {
		w.async.Release(s, n)
	}
}

func (w *world) trim() {
	if w.async != nil {
		w.async.Trim(room)
		w.mu.Lock()
		w.pageFails = rapid.Bool().Draw(w.T, "page fails")
		w.mu.Unlock()
	}
}

// compose makes a message, a retry of an earlier one among others.
func (w *world) compose(from hub.Author) *hub.Message {
	m := &hub.Message{From: from}
	kind := rapid.SampledFrom([]string{"plain", "new", "new", "retry", "retry", "transient", "binary", "new transient"}).Draw(w.T, "kind")
	w.ids++
	m.ID = hub.ID{byte(w.ids >> 8), byte(w.ids)}
	switch kind {
	case "new":
		m.Idempotent = true
	case "retry":
		m.Idempotent = true
		w.mu.Lock()
		again := w.again
		w.mu.Unlock()
		if len(again) > 0 {
			m.ID = rapid.SampledFrom(again).Draw(w.T, "id")
		}
	case "transient":
		m.Transient = true
	case "binary":
		m.Transient, m.Binary = true, true
	case "new transient":
		m.Idempotent, m.Transient = true, true
	}
	if m.Idempotent {
		w.mu.Lock()
		w.again = append(w.again, m.ID)
		w.mu.Unlock()
	}
	size := rapid.SampledFrom([]int{0, 10, 30, 60, 200}).Draw(w.T, "size")
	m.Payload = []byte(strings.Repeat("x", size))
	if w.async != nil && rapid.IntRange(0, 5).Draw(w.T, "refused") == 0 {
		m.Payload = append(m.Payload, '!')
	}
	return m
}

// publish says something without being a member.
func (w *world) publish() {
	m := w.compose(hub.Author{ID: "p"})
	w.mu.Lock()
	w.said[m] = nil
	w.mu.Unlock()
	w.publishers.Go(func() {
		got, err := w.hub.Publish(context.Background(), room, m)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case errors.Is(err, hub.ErrBusy), errors.Is(err, errRefused):
			w.outcome(m, "refused")
		case err != nil:
			w.fail("Publish = %v", err)
		case got != m:
			w.fail("Publish returned another message")
		default:
			if _, open := w.said[m]; open {
				w.repeated(m)
			}
		}
	})
}

// repeated notes that m was answered as a retry. Called with mu held.
func (w *world) repeated(m *hub.Message) {
	w.outcome(m, "repeated")
	was := w.original[m.ID]
	if was == nil {
		w.fail("a retry of nothing was answered")
	} else if m.Seq != was.Seq || m.Prev != was.Prev || m.At != was.At {
		w.fail("retry answered with %d, %d, %d, want %d, %d, %d", m.Seq, m.Prev, m.At, was.Seq, was.Prev, was.At)
	}
}

// elsewhere is another process that uses the same journal.
func (w *world) elsewhere() {
	if w.async == nil {
		return
	}
	w.ids++
	m := &hub.Message{ID: hub.ID{byte(w.ids >> 8), byte(w.ids)}, At: 1, Idempotent: true, Payload: []byte("elsewhere")}
	w.mu.Lock()
	w.said[m] = nil
	w.mu.Unlock()
	w.async.Append(room, m)
}
