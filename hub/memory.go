package hub

import (
	"crypto/rand"
	"sync"
	"time"
)

// MemoryOptions bound what a Memory journal keeps, as [Limits] do. For each, 0 means no
// limit.
type MemoryOptions struct {
	Messages   int           // per room
	Bytes      int           // per room
	TotalBytes int           // of all rooms together; the room that keeps most loses messages first
	MaxAge     time.Duration // older messages are not shown, and are dropped at the room's next use
	// NewEpoch returns the Epoch of a room that begins. Nil: random text.
	NewEpoch func() string
}

// Memory is a Journal that keeps the State of each room in memory, so it ends with the
// process. It answers before a call returns. Seq counts 1, 2, 3.
type Memory struct {
	newEpoch func() string // immutable

	mu        sync.Mutex
	rooms     map[string]*memoryRoom // guarded by mu
	retention *Retention             // guarded by mu
}

// memoryRoom is guarded by Memory.mu, except deliver and share, which are immutable.
type memoryRoom struct {
	deliver func(Entry)
	share   *Share
	State
}

// NewMemory returns an empty journal.
func NewMemory(o MemoryOptions) *Memory {
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	limits := Limits{Messages: o.Messages, Bytes: o.Bytes, TotalBytes: o.TotalBytes, MaxAge: o.MaxAge}
	return &Memory{newEpoch: o.NewEpoch, rooms: make(map[string]*memoryRoom), retention: NewRetention(limits)}
}

// Open implements Journal.
func (j *Memory) Open(room string, deliver func(Entry)) (Opened, error) {
	r := &memoryRoom{deliver: deliver, State: State{Position: Position{Epoch: j.newEpoch()}}}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget(room)
	r.share = j.retention.Add(r)
	j.rooms[room] = r
	return Opened{Position: r.Position}, nil
}

// Append implements Journal.
func (j *Memory) Append(room string, m *Message) {
	j.mu.Lock()
	r := j.rooms[room]
	if !m.Transient {
		m.Seq, m.Prev = r.Head+1, r.Head
	}
	r.Apply(m)
	j.retention.Enforce(r.share, time.Now())
	j.mu.Unlock()
	r.deliver(Entry{Message: m})
}

// Page implements Journal.
func (j *Memory) Page(room string, q PageQuery, done func(Page, error)) {
	done(j.page(room, q), nil)
}

func (j *Memory) page(room string, q PageQuery) Page {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.rooms[room]
	if r == nil {
		return Page{Known: q.After == 0}
	}
	j.retention.Enforce(r.share, time.Now())
	return r.Page(q)
}

// Close implements Journal. It forgets the room.
func (j *Memory) Close(room string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget(room)
}

// forget is called with mu held.
func (j *Memory) forget(room string) {
	if r := j.rooms[room]; r != nil {
		j.retention.Remove(r.share)
		delete(j.rooms, room)
	}
}
