package hub_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// numbered is message i of sender n.
func numbered(n, i int) *hub.Message {
	return text(fmt.Sprintf("%03d/%04d", n, i))
}

// reader is an Owner with one goroutine, which writes what is due whenever it is woken, here
// into lines.
type reader struct {
	member *hub.Member
	due    wake
	joined chan hub.Joined // the answer to Join; sent once, never closed
	left   chan hub.Left   // the answer to Leave; sent once, never closed
	done   chan error      // how the goroutine ended; sent once, never closed
	gone   bool            // leave was called

	mu    sync.Mutex
	more  sync.Cond // lines has grown
	lines []string  // guarded by mu; not written after leave
	part  []byte    // guarded by mu
}

func (r *reader) Wake() { r.due.Wake() }
func (r *reader) Notify(n hub.Notice) {
	switch n := n.(type) {
	case hub.Joined:
		r.joined <- n
	case hub.Left:
		r.left <- n
	}
	r.Wake()
}

func startReader(t *testing.T, h *hub.Hub, room string) *reader {
	r := &reader{due: make(wake, 1), joined: make(chan hub.Joined, 1), left: make(chan hub.Left, 1), done: make(chan error, 1)}
	r.more.L = &r.mu
	var err error
	if r.member, err = h.Join(room, lines, hub.Author{}, r); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.run() }()
	return r
}

// run ends when everything up to Left.End is written.
func (r *reader) run() error {
	joined := <-r.joined
	r.joined <- joined // for later receivers
	end := int64(-1)
	for range r.due {
		if _, err := r.member.WriteTo(r); err != nil {
			return err
		}
		select {
		case left := <-r.left:
			end = left.End
		default:
		}
		if end >= 0 {
			if r.member.Cursor().Offset() >= end {
				return nil
			}
			r.Wake()
		}
	}
	return nil
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.part = append(r.part, p...)
	for {
		line, rest, ok := bytes.Cut(r.part, []byte("\n"))
		if !ok {
			r.more.Signal()
			return len(p), nil
		}
		r.lines = append(r.lines, string(line))
		r.part = rest
	}
}

// sum leaves, and returns the running hash of the lines. There should be n.
func (r *reader) sum(t *testing.T, n int) uint64 {
	r.leave(t)
	if len(r.lines) != n || len(r.part) > 0 {
		t.Errorf("%d lines and %d bytes, want %d lines", len(r.lines), len(r.part), n)
	}
	return sum(r.lines)
}

// sum is h(n) = H(h(n-1), line n).
func sum(lines []string) uint64 {
	h := fnv.New64a()
	for _, line := range lines {
		io.WriteString(h, line)
		h.Write([]byte{'\n'})
	}
	return h.Sum64()
}

// journaled is the order of the room's n messages, as the journal has it.
func journaled(t *testing.T, h *hub.Hub, n int) []string {
	var all []string
	h.Page(room, hub.PageQuery{Limit: n + 1}, func(p hub.Page, err error) {
		for _, m := range p.Messages {
			all = append(all, string(m.Payload))
		}
	})
	if len(all) != n {
		t.Errorf("the journal has %d messages, want %d", len(all), n)
	}
	return all
}

// lost names each sender's messages that have not come, or not in their order.
func (r *reader) lost(senders, each int) []string {
	next := make([]int, senders)
	var lost []string
	for _, line := range r.lines {
		var n, i int
		fmt.Sscanf(line, "%d/%d", &n, &i)
		if i != next[n] {
			lost = append(lost, fmt.Sprintf("%03d/%04d before %s", n, next[n], line))
		}
		next[n] = i + 1
	}
	for n, i := range next {
		if i != each {
			lost = append(lost, fmt.Sprintf("%03d/%04d to the end", n, i))
		}
	}
	return lost
}

// leave ends the membership after everything that was said. A second call does nothing.
func (r *reader) leave(t *testing.T) {
	if r.gone {
		return
	}
	r.gone = true
	r.member.Leave()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}
