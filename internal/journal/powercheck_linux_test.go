package journal

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// A messageKey names what the recorded process has said.
type messageKey struct {
	room string
	n    int
}

// An ack is a message that was acknowledged.
type ack struct {
	messageKey
	seq, prev uint64
}

// A promise is what the recorded process had said to the senders until a point of the trace.
type promise struct {
	acks    []ack
	refused map[messageKey]bool // and something was acknowledged later
}

// A crashed store is what a power cut or a kill may leave, and what must be in it.
type crashed struct {
	what  string // for a report
	files map[string][]byte
	promise
}

// checkers open what crashes leave, each goroutine in a folder of its own.
type checkers struct {
	crashes chan crashed   // whoever builds states sends, and closes it when there are no more
	pending sync.WaitGroup // crashes that are not checked yet
	running sync.WaitGroup
	failed  atomic.Int32
}

func newCheckers(t *testing.T, base string, n int) *checkers {
	c := &checkers{crashes: make(chan crashed, n)}
	for i := range n {
		dir := filepath.Join(base, fmt.Sprint("state", i))
		c.running.Go(func() {
			for s := range c.crashes {
				if c.failed.Load() < 5 {
					err := s.check(dir)
					if err != nil && c.failed.Add(1) <= 5 {
						t.Errorf("%s: %v\n%s", s.what, err, listing(s.files))
					}
					if err := os.RemoveAll(dir); err != nil {
						t.Error(err)
					}
				}
				c.pending.Done()
			}
		})
	}
	return c
}

func listing(files map[string][]byte) string {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "\t%s %d bytes\n", name, len(files[name]))
	}
	return b.String()
}

// check opens a state twice: as the crash has left it, and again after something was said. The second time a segment is full after
// each batch, so that nothing of what a crash has torn may be left anywhere.
func (s *crashed) check(dir string) error {
	if err := lay(dir, s.files); err != nil {
		return err
	}
	o := Options{Dir: dir, Limits: powerLimits, SegmentBytes: 1}
	j, err := Open(o)
	if err != nil {
		return err
	}
	var last uint64
	for _, a := range s.acks {
		last = max(last, a.seq)
	}
	more := s.promise
	more.acks = slices.Clip(more.acks)
	err = func() error {
		for i, room := range powerRooms {
			head, err := s.promise.checkRoom(j, room)
			if err != nil {
				return err
			}
			last = max(last, head)
			m, err := sayOne(j, room, powerAfter+i)
			if err != nil {
				return err
			}
			if m.Seq <= last || m.Prev != head {
				return fmt.Errorf("room %s: a new message has number %d and prev %d, want more than %d and %d", room, m.Seq, m.Prev, last, head)
			}
			last = m.Seq
			more.acks = append(more.acks, ack{messageKey{room, powerAfter + i}, m.Seq, m.Prev})
		}
		return nil
	}()
	if stopErr := j.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	if j, err = Open(o); err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	defer j.Stop()
	for _, room := range powerRooms {
		if _, err := more.checkRoom(j, room); err != nil {
			return fmt.Errorf("the second time: %w", err)
		}
	}
	return nil
}

// sayOne says a message and waits for its acknowledgement.
func sayOne(j *Journal, room string, n int) (*hub.Message, error) {
	back := make(chan hub.Entry, 1) // deliver sends once, never closed
	if _, err := j.Open(room, func(e hub.Entry) { back <- e }); err != nil {
		return nil, err
	}
	j.Append(room, powerMessage(room, n))
	e := <-back
	return e.Message, e.Err
}

// checkRoom holds a room to what was promised, and returns its head.
func (p *promise) checkRoom(j *Journal, room string) (head uint64, err error) {
	o, err := j.Open(room, func(hub.Entry) {})
	if err != nil {
		return 0, err
	}
	pages := make(chan hub.Page, 1) // done sends once, never closed
	j.Page(room, all, func(p hub.Page, pageErr error) { err = pageErr; pages <- p })
	page := <-pages
	if err != nil {
		return 0, err
	}
	kept := make(map[int]*hub.Message)
	last := page.Floor
	for _, m := range page.Messages {
		n := powerNumber(m)
		want := powerMessage(room, n)
		switch {
		case m.Prev != last || m.Seq <= last:
			return 0, fmt.Errorf("room %s: message %d has number %d and prev %d after %d", room, n, m.Seq, m.Prev, last)
		case kept[n] != nil:
			return 0, fmt.Errorf("room %s: message %d is there twice", room, n)
		case !bytes.Equal(m.Payload, want.Payload) || m.ID != want.ID || m.From != want.From:
			return 0, fmt.Errorf("room %s: message %d is not what was said: %.40q", room, n, m.Payload)
		case p.refused[messageKey{room, n}]:
			return 0, fmt.Errorf("room %s: message %d was refused, and is there although others were acknowledged later", room, n)
		}
		kept[n], last = m, m.Seq
	}
	if page.Head != last {
		return 0, fmt.Errorf("room %s: head %d after the last message %d", room, page.Head, last)
	}
	known, present, err := p.checkIDs(room, o.Recent)
	if err != nil {
		return 0, err
	}
	for _, a := range p.acks {
		if a.room != room {
			continue
		}
		if room == powerPlain {
			present++
		}
		m := kept[a.n]
		if a.seq > page.Floor && (m == nil || m.Seq != a.seq || m.Prev != a.prev) {
			return 0, fmt.Errorf("room %s: message %d was acknowledged as number %d and is lost", room, a.n, a.seq)
		}
		id := powerMessage(room, a.n).ID
		if s := known[id]; room != powerPlain && (s.Seq != a.seq || s.Prev != a.prev) {
			return 0, fmt.Errorf("room %s: the id of message %d was acknowledged as number %d and is remembered as %d", room, a.n, a.seq, s.Seq)
		}
	}
	if want := min(powerLimits.Messages, present); len(kept) < want {
		return 0, fmt.Errorf("room %s: %d messages kept of %d, want %d", room, len(kept), present, want)
	}
	return page.Head, nil
}

// checkIDs looks for gaps and repeats among the ids that are remembered: those of all messages there ever were.
func (p *promise) checkIDs(room string, recent []hub.Stored) (known map[hub.ID]hub.Stored, n int, err error) {
	known = make(map[hub.ID]hub.Stored)
	var last uint64
	for _, s := range recent {
		if s.Prev != last || s.Seq <= last {
			return nil, 0, fmt.Errorf("room %s: number %d has prev %d after %d", room, s.Seq, s.Prev, last)
		}
		if _, isThere := known[s.ID]; isThere {
			return nil, 0, fmt.Errorf("room %s: an id is there twice, now as %d", room, s.Seq)
		}
		if p.refused[messageKey{room, powerIDNumber(s.ID)}] {
			return nil, 0, fmt.Errorf("room %s: number %d was refused, and is there although others were acknowledged later", room, s.Seq)
		}
		known[s.ID], last = s, s.Seq
	}
	return known, len(known), nil
}
