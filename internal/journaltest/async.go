// Package journaltest holds every [hub.Journal] to one contract, and has a journal
// that makes trouble within it. It is for tests, and must not know any real journal.
package journaltest

import (
	"slices"
	"sync"

	"github.com/doyasa/doyasa/hub"
)

// A Stage is a point at which a held Async stops until Release.
type Stage int

const (
	Store   Stage = iota // an appended message gets its Seq, or is refused
	Deliver              // a stored message is delivered to its room
	Answer               // a page is read and handed to done
)

// Options configure an Async.
type Options struct {
	Keep   int    // messages kept per room; 0: all
	Stride uint64 // from one Seq to the next, as where rooms share a stream; 0: 1
	Held   bool   // each stage waits for Release
	// Refuse, when not nil, is asked before a message is stored.
	Refuse func(*hub.Message) error
	// FailPage, when not nil, is asked before a page is read.
	FailPage func() error
}

// Async is a Journal that answers from a goroutine of its own. Unlike hub.Memory it
// keeps a room that was closed, and can be made to answer out of step. Stop ends it.
type Async struct {
	opts Options       // immutable
	done chan struct{} // the goroutine has ended; it closes this

	mu      sync.Mutex // guards what follows
	rooms   map[string]*room
	holding bool
	held    [Answer + 1][]func() // in order; waiting for Release
	due     []func()             // in order; for the goroutine
	more    *sync.Cond           // due has grown, or stop is set
	stop    bool
}

type room struct {
	hub.Position
	deliver func(hub.Entry)
	kept    []*hub.Message
}

// NewAsync starts an empty journal.
func NewAsync(o Options) *Async {
	o.Stride = max(o.Stride, 1)
	j := &Async{opts: o, done: make(chan struct{}), rooms: make(map[string]*room), holding: o.Held}
	j.more = sync.NewCond(&j.mu)
	go j.run()
	return j
}

func (j *Async) run() {
	defer close(j.done)
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		for len(j.due) == 0 {
			if j.stop {
				return
			}
			j.more.Wait()
		}
		do := j.due[0]
		j.due = j.due[1:]
		j.mu.Unlock()
		do()
		j.mu.Lock()
	}
}

// Stop lets everything go that is held, waits until it is done, and ends the goroutine.
func (j *Async) Stop() {
	j.Free()
	j.mu.Lock()
	j.stop = true
	j.more.Signal()
	j.mu.Unlock()
	<-j.done
}

// Free lets everything go that is held, and holds nothing from now on.
func (j *Async) Free() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.holding = false
	for _, s := range []Stage{Deliver, Store, Answer} { // what was stored first is delivered first
		j.due = append(j.due, j.held[s]...)
		j.held[s] = nil
	}
	j.more.Signal()
}

// Release lets the first n go that are held at stage s, and returns how many there were.
func (j *Async) Release(s Stage, n int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = min(n, len(j.held[s]))
	j.due = append(j.due, j.held[s][:n]...)
	j.held[s] = j.held[s][n:]
	j.more.Signal()
	return n
}

// reach does something at stage s, now or after Release.
func (j *Async) reach(s Stage, do func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.holding {
		j.held[s] = append(j.held[s], do)
		return
	}
	j.due = append(j.due, do)
	j.more.Signal()
}

// Trim drops the oldest message of a room, if it has one.
func (j *Async) Trim(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[name]; r != nil && len(r.kept) > 0 {
		r.kept = r.kept[1:]
	}
}

// Open implements hub.Journal.
func (j *Async) Open(name string, deliver func(hub.Entry)) (hub.Opened, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.rooms[name]
	if r == nil {
		r = &room{Position: hub.Position{Epoch: "1"}}
		j.rooms[name] = r
	}
	r.deliver = deliver
	return hub.Opened{Position: r.Position}, nil
}

// Append implements hub.Journal.
func (j *Async) Append(name string, m *hub.Message) {
	j.reach(Store, func() {
		e := hub.Entry{Message: m}
		if j.opts.Refuse != nil {
			e.Err = j.opts.Refuse(m)
		}
		j.mu.Lock()
		r := j.rooms[name]
		if e.Err == nil && !m.Transient {
			m.Prev = r.Head
			r.Head += j.opts.Stride
			m.Seq = r.Head
			r.kept = append(r.kept, m)
			if j.opts.Keep > 0 && len(r.kept) > j.opts.Keep {
				r.kept = r.kept[1:]
			}
		}
		deliver := r.deliver
		j.mu.Unlock()
		j.reach(Deliver, func() { deliver(e) })
	})
}

// Page implements hub.Journal.
func (j *Async) Page(name string, q hub.PageQuery, done func(hub.Page, error)) {
	j.reach(Answer, func() {
		if j.opts.FailPage != nil {
			if err := j.opts.FailPage(); err != nil {
				done(hub.Page{}, err)
				return
			}
		}
		done(j.page(name, q), nil)
	})
}

// page is the plainest reading of hub.PageQuery.
func (j *Async) page(name string, q hub.PageQuery) hub.Page {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.rooms[name]
	if r == nil {
		return hub.Page{}
	}
	p := hub.Page{Position: r.Position, Floor: r.Head}
	if len(r.kept) > 0 {
		p.First, p.Floor = r.kept[0].Seq, r.kept[0].Prev
	}
	var found []*hub.Message
	for _, m := range r.kept {
		if m.Seq > q.After && (q.Before == 0 || m.Seq < q.Before) {
			found = append(found, m)
		}
	}
	if q.Newest {
		slices.Reverse(found)
	}
	bytes := 0
	for _, m := range found {
		bytes += len(m.Payload)
		if n := len(p.Messages); n == q.Limit || n > 0 && q.Bytes > 0 && bytes > q.Bytes {
			break
		}
		p.Messages = append(p.Messages, m)
	}
	if q.Newest {
		slices.Reverse(p.Messages)
	}
	return p
}

// Close implements hub.Journal.
func (j *Async) Close(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[name]; r != nil {
		r.deliver = nil
	}
}
