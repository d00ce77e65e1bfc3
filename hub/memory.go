package hub

import (
	"cmp"
	"crypto/rand"
	"sync"
	"time"
)

// MemoryOptions bound what a Memory journal keeps. For each, 0 means no limit.
type MemoryOptions struct {
	Messages   int           // per room
	Bytes      int           // per room
	TotalBytes int           // all rooms; the room that holds most gives first
	MaxAge     time.Duration // older messages are not shown and are let go at the room's next use
	// NewEpoch names a room's run of Seq. Nil: random text.
	NewEpoch func() string
}

// Memory is the Journal that lives as long as the process. It answers at once.
type Memory struct {
	opts MemoryOptions // immutable

	mu    sync.Mutex
	rooms map[string]*memoryRoom // guarded by mu
	total int                    // guarded by mu: bytes of all rooms
}

// memoryRoom is guarded by Memory.mu, except deliver, which is immutable.
type memoryRoom struct {
	deliver func(Entry)
	Position
	kept  []*Message // consecutive Seq, oldest first
	bytes int
}

// NewMemory returns an empty journal.
func NewMemory(o MemoryOptions) *Memory {
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	return &Memory{opts: o, rooms: make(map[string]*memoryRoom)}
}

// Open implements Journal.
func (j *Memory) Open(room string, deliver func(Entry)) (Opened, error) {
	r := &memoryRoom{deliver: deliver, Position: Position{Epoch: j.opts.NewEpoch()}}
	j.mu.Lock()
	j.rooms[room] = r
	j.mu.Unlock()
	return Opened{Position: r.Position}, nil
}

// Append implements Journal.
func (j *Memory) Append(room string, m *Message) {
	j.mu.Lock()
	r := j.rooms[room]
	if !m.Transient {
		m.Prev = r.Head
		r.Head++
		m.Seq = r.Head
		r.kept = append(r.kept, m)
		r.bytes += m.Size()
		j.total += m.Size()
		j.trim(r)
	}
	j.mu.Unlock()
	r.deliver(Entry{Message: m})
}

// trim drops what is over a limit from r, and from the largest rooms what is over the
// total. Called with mu held.
func (j *Memory) trim(r *memoryRoom) {
	over := func(n, limit int) bool { return limit > 0 && n > limit }
	for over(len(r.kept), j.opts.Messages) || over(r.bytes, j.opts.Bytes) {
		j.dropOldest(r)
	}
	if j.opts.MaxAge > 0 {
		oldest := time.Now().Add(-j.opts.MaxAge).UnixMilli()
		for len(r.kept) > 0 && r.kept[0].At < oldest {
			j.dropOldest(r)
		}
	}
	for over(j.total, j.opts.TotalBytes) {
		largest := r
		for _, other := range j.rooms {
			if other.bytes > largest.bytes {
				largest = other
			}
		}
		j.dropOldest(largest)
	}
}

func (j *Memory) dropOldest(r *memoryRoom) {
	size := r.kept[0].Size()
	r.bytes -= size
	j.total -= size
	r.kept[0] = nil // the array lives on until append moves the rest
	r.kept = r.kept[1:]
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
		return Page{}
	}
	j.trim(r)
	p := Page{Position: r.Position, Floor: r.Head}
	if len(r.kept) == 0 {
		return p
	}
	p.First, p.Floor = r.kept[0].Seq, r.kept[0].Prev

	// Seq is consecutive, so both ends are found by subtraction.
	end := cmp.Or(q.Before, r.Head+1)
	from := int(min(max(q.After, p.Floor), r.Head) - p.Floor)
	to := int(min(max(end, p.First), r.Head+1) - p.First)
	if from >= to {
		return p
	}
	matching := r.kept[from:to]
	n, bytes := 0, 0
	for n < len(matching) && n < q.Limit {
		next := matching[n]
		if q.Newest {
			next = matching[len(matching)-1-n]
		}
		if bytes += len(next.Payload); n > 0 && q.Bytes > 0 && bytes > q.Bytes {
			break
		}
		n++
	}
	if q.Newest {
		matching = matching[len(matching)-n:]
	} else {
		matching = matching[:n]
	}
	p.Messages = append(p.Messages, matching...)
	return p
}

// Close implements Journal.
func (j *Memory) Close(room string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[room]; r != nil {
		j.total -= r.bytes
		delete(j.rooms, room)
	}
}
