package hub_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/journal"
	"pgregory.net/rapid"
)

// Any schedule of what can happen in a room, with a history of three messages and
// chunks so small that every path of the log is walked: what each connection is sent
// is checked byte by byte while it happens (model_conn_test.go), what the room owes in
// the end is checked in world.finish. After each step the hub goroutine and the
// journal have come to rest, or are held on purpose, so a schedule always goes the
// same way.
func TestModel(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		checkModel(t, func(w *world) hub.Journal {
			return hub.NewMemory(hub.MemoryOptions{Messages: 3, MaxAge: time.Minute})
		})
	})
	t.Run("Embedded", func(t *testing.T) {
		checkModel(t, func(w *world) hub.Journal {
			dir, err := os.MkdirTemp(t.TempDir(), "")
			if err != nil {
				w.Fatal(err)
			}
			j, err := journal.Open(journal.Options{Dir: dir, Limits: journal.Limits{Messages: 3, MaxAge: time.Minute}})
			if err != nil {
				w.Fatal(err)
			}
			w.stop = func() {
				if err := j.Stop(); err != nil {
					w.Error(err)
				}
			}
			return j
		})
	})
	t.Run("Async", func(t *testing.T) {
		checkModel(t, func(w *world) hub.Journal {
			w.async = journaltest.NewAsync(journaltest.Options{
				Keep:   3,
				Stride: rapid.SampledFrom([]uint64{1, 5}).Draw(w.T, "stride"),
				Held:   true,
				Refuse: func(m *hub.Message) error {
					if strings.HasSuffix(string(m.Payload), "!") {
						return errRefused
					}
					return nil
				},
				FailPage: w.failPage,
			})
			return w.async
		})
	})
}

var errRefused = errors.New("the journal does not take this")

func checkModel(t *testing.T, journal func(*world) hub.Journal) {
	rapid.Check(t, func(rt *rapid.T) {
		var thrown any
		synctest.Test(t, func(*testing.T) {
			// rapid's own panics belong to the goroutine that it called.
			defer func() { thrown = recover() }()
			w := newWorld(rt, journal)
			defer w.close()
			w.play()
			w.finish()
		})
		// By the line rapid tells a failure from a draw that came to nothing.
		if strings.HasSuffix(fmt.Sprintf("%T", thrown), ".invalidData") {
			panic(thrown)
		}
		if thrown != nil {
			panic(thrown)
		}
	})
}

const room = "r"

// world is one room, its members, and what is known about both.
type world struct {
	*rapid.T
	hub     *hub.Hub
	journal hub.Journal
	async   *journaltest.Async // nil with the others
	stop    func()             // ends the journal; nil if it needs no end
	release func()             // lets the hub goroutine go on; nil while it is not held

	clients    []*client
	conns      []*conn // that ever were
	ids        uint16  // the last one given
	publishers sync.WaitGroup

	mu        sync.Mutex // guards what follows, which the hub goroutine writes too
	order     []*hub.Message
	failed    []string               // found in another goroutine than rapid's
	said      map[*hub.Message]*conn // accepted, and without an outcome
	again     []hub.ID               // worth a retry
	original  map[hub.ID]*hub.Message
	pageFails bool
}

func newWorld(rt *rapid.T, journal func(*world) hub.Journal) *world {
	w := &world{T: rt, said: make(map[*hub.Message]*conn), original: make(map[hub.ID]*hub.Message)}
	w.journal = journal(w)
	w.hub = hub.New(hub.Options{
		Journal:    w.journal,
		ChunkBytes: 64,
		LogBytes:   rapid.SampledFrom([]int{1, 128, 1000}).Draw(rt, "log bytes"),
		InboxBytes: rapid.SampledFrom([]int{1, 600, 5000}).Draw(rt, "inbox bytes"),
	})
	witness := &hub.Form{Message: w.witness}
	if _, err := w.hub.Join(room, witness, hub.Author{ID: "witness"}, nobody{}); err != nil {
		rt.Fatal(err)
	}
	synctest.Wait()
	for i, f := range []*wire{chat, chat, raw, chat, raw} {
		// The first two are the same person.
		w.clients = append(w.clients, &client{world: w, wire: f, who: hub.Author{ID: fmt.Sprint(max(i, 1)), Name: "n"}})
	}
	return w
}

// witness sees the one order. It belongs to a form that shows nothing, whose member
// came first, so it is called before any member can be sent the message.
func (w *world) witness(dst []byte, m *hub.Message) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.order = append(w.order, m)
	if k := w.said[m]; k != nil && k.shows(m) {
		k.published = len(w.order)
	}
	w.outcome(m, "published")
	if m.Idempotent {
		if w.original[m.ID] != nil {
			w.fail("id %x was published twice", m.ID[:2])
		}
		w.original[m.ID] = m
		w.again = append(w.again, m.ID)
	}
	return dst
}

// outcome notes what has become of a message. Called with mu held.
func (w *world) outcome(m *hub.Message, what string) {
	k, open := w.said[m]
	if !open {
		w.fail("%s a second time, or never said: %s", what, m.Payload)
		return
	}
	delete(w.said, m)
	if k != nil {
		k.open = slices.DeleteFunc(k.open, func(o *hub.Message) bool { return o == m })
	}
}

// fail is Errorf for any goroutine. Called with mu held.
func (w *world) fail(format string, args ...any) {
	w.failed = append(w.failed, fmt.Sprintf(format, args...))
}

// settle waits until nothing can happen by itself, and reports what failed meanwhile.
func (w *world) settle() {
	synctest.Wait()
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	if len(failed) > 0 {
		w.Fatal(strings.Join(failed, "\n"))
	}
}

func (w *world) failPage() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pageFails {
		w.pageFails = false
		return errRefused
	}
	return nil
}

// finish lets everything come to its end and checks what was owed.
func (w *world) finish() {
	w.free()
	if w.async != nil {
		w.async.Free()
	}
	w.settle()
	w.publishers.Wait()
	for _, c := range w.clients {
		if c.conn != nil && c.conn.leaving {
			c.finish()
		}
		c.join()
		w.settle()
	}
	for _, c := range w.clients {
		c.sayAgain() // one message always fits, and nobody else says anything
		w.settle()
		if c.conn.unsent != nil {
			w.Fatalf("client %s: refused by an empty inbox", c.who.ID)
		}
	}
	time.Sleep(40 * time.Second) // the graces of all who left
	w.settle()
	for _, c := range w.clients {
		for range 10 { // pages come one at a time
			c.pump(everything)
			w.settle()
		}
		c.atEnd()
	}
	for _, c := range w.clients {
		c.leave()
		w.settle()
		c.finish()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for m := range w.said {
		w.Errorf("a message without an outcome: %x %s", m.ID[:2], m.Payload)
	}
	for _, k := range w.conns {
		if k.left == nil {
			w.Errorf("client %s: a connection without Left", k.who.ID)
		}
	}
	if n := w.hub.LogBytes(); n != 0 {
		w.Errorf("logs hold %d bytes with nobody there, want 0", n)
	}
	if n := w.hub.InboxBytes(room); n != 0 {
		w.Errorf("the inbox holds %d bytes with everything published, want 0", n)
	}
}

// close ends all goroutines, also after a failure in the middle.
func (w *world) close() {
	w.free()
	if w.async != nil {
		w.async.Free()
	}
	w.hub.Close()
	if w.async != nil {
		w.async.Stop()
	}
	if w.stop != nil {
		w.stop()
	}
	w.publishers.Wait()
}

// nobody is an owner who does nothing.
type nobody struct{}

func (nobody) Wake()             {}
func (nobody) Notify(hub.Notice) {}
