package journaltest

import (
	"slices"
	"sync"

	"github.com/doyasa/doyasa/hub"
)

// A Stage is a step of an Async. If the Async holds, each step waits for Release.
type Stage int

const (
	Store   Stage = iota // an appended message gets its Seq, or is refused
	Deliver              // a stored message is delivered to its room
	Answer               // a page is read and handed to done
)

// Options configure an Async.
type Options struct {
	Keep   int    // messages kept per room; 0: all
	Stride uint64 // the difference between one Seq and the next, as if other rooms used the numbers between them; 0: 1
	Held   bool   // each stage waits for Release
	// Refuse is called before a message is stored. If it returns an error, the message is
	// refused. Nil: every message is stored.
	Refuse func(*hub.Message) error
	// FailPage is called before a page is read. If it returns an error, Page fails with it.
	// Nil: every page is read.
	FailPage func() error
}

// Async is a Journal in memory, for tests of programs that use a Journal. It answers from a
// goroutine of its own, and a test can make it answer late or refuse messages. Unlike
// hub.Memory it keeps a room that was closed, as a durable journal does. Stop ends the
// goroutine.
type Async struct {
	opts Options       // immutable
	done chan struct{} // says that the goroutine has ended; the goroutine closes it

	mu      sync.Mutex // guards the fields below
	rooms   map[string]*room
	holding bool
	held    [Answer + 1][]func() // for each stage, the calls that wait for Release, in order
	due     []func()             // the calls that the goroutine must make, in order
	more    *sync.Cond           // signalled when due has grown, or stop is set
	stop    bool
}

type room struct {
	hub.State
	deliver func(hub.Entry)
	recent  []hub.Stored // every id that was ever stored
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

// Stop releases everything that is held, lets the goroutine finish that, and ends it.
func (j *Async) Stop() {
	j.Free()
	j.mu.Lock()
	j.stop = true
	j.more.Signal()
	j.mu.Unlock()
	<-j.done
}

// Free releases everything that is held, and holds nothing from now on.
func (j *Async) Free() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.holding = false
	for _, s := range []Stage{Deliver, Store, Answer} { // Deliver first, because its messages came before those in Store
		j.due = append(j.due, j.held[s]...)
		j.held[s] = nil
	}
	j.more.Signal()
}

// Release releases the first n calls that are held at stage s. It returns how many it has
// released, which is less than n if fewer are held.
func (j *Async) Release(s Stage, n int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = min(n, len(j.held[s]))
	j.due = append(j.due, j.held[s][:n]...)
	j.held[s] = j.held[s][n:]
	j.more.Signal()
	return n
}

// reach makes the goroutine call do for stage s, after Release if the Async holds.
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
	if r := j.rooms[name]; r != nil && r.Len() > 0 {
		r.DropOldest()
	}
}

// Open implements hub.Journal.
func (j *Async) Open(name string, deliver func(hub.Entry)) (hub.Opened, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.rooms[name]
	if r == nil {
		r = &room{State: hub.State{Position: hub.Position{Epoch: "1"}}}
		j.rooms[name] = r
	}
	r.deliver = deliver
	return hub.Opened{Position: r.Position, Recent: slices.Clone(r.recent)}, nil
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
		if e.Err == nil {
			j.store(r, m)
		}
		deliver := r.deliver
		j.mu.Unlock()
		j.reach(Deliver, func() { deliver(e) })
	})
}

// store is called with mu held.
func (j *Async) store(r *room, m *hub.Message) {
	if !m.Transient {
		m.Seq, m.Prev = r.Head+j.opts.Stride, r.Head
		if m.Idempotent {
			r.recent = append(r.recent, hub.Stored{ID: m.ID, Seq: m.Seq, Prev: m.Prev, At: m.At})
		}
	}
	r.Apply(m)
	if j.opts.Keep > 0 && r.Len() > j.opts.Keep {
		r.DropOldest()
	}
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

func (j *Async) page(name string, q hub.PageQuery) hub.Page {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[name]; r != nil {
		return r.Page(q)
	}
	return hub.Page{}
}

// Close implements hub.Journal.
func (j *Async) Close(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[name]; r != nil {
		r.deliver = nil
	}
}
