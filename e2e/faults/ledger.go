// Package faults kills the running server, again and again, under load, and holds what everybody has seen against what is there in
// the end. It must not know how the server stores anything.
package faults

import (
	"fmt"
	"slices"
	"sync"
)

// An outcome is what a sender knows of a message.
type outcome int

const (
	unknown      outcome = iota // sent, and neither of the others: it may be there or not
	acknowledged                // it was seen to come back, or the retry of it was answered
	failed                      // it was refused, for good
)

// A receipt is one thing that a client was shown, in order.
type receipt struct {
	kind      string // message, hello, resumed or gap
	id        string // message
	epoch     string // hello and resumed
	seq, prev uint64 // message; gap: seq is its end
}

// A kept message is what the history has of one in the end.
type kept struct {
	id        string
	seq, prev uint64
}

// A ledger records every send and every receipt. Its methods may be called from any goroutine.
type ledger struct {
	mu       sync.Mutex
	sends    map[string]outcome
	receipts [][]receipt // by client
}

func newLedger(clients int) *ledger {
	return &ledger{sends: make(map[string]outcome), receipts: make([][]receipt, clients)}
}

// sent notes a send, before it is made.
func (l *ledger) sent(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.sends[id]; !again {
		l.sends[id] = unknown
	}
}

// settle notes what has become of a send.
func (l *ledger) settle(id string, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sends[id] = o
}

func (l *ledger) received(client int, r receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[client] = append(l.receipts[client], r)
}

// at is the last position that a client was shown.
func (l *ledger) at(client int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range slices.Backward(l.receipts[client]) {
		if r.seq > 0 {
			return r.seq
		}
	}
	return 0
}

// A verdict counts what happened, and lists what must not.
type verdict struct {
	acknowledged, failed, unknown int
	unknownKept                   int
	receipts, resumes             int
	wrong                         []string
}

// check compares the ledger with the whole history of the room, oldest message first.
func (l *ledger) check(history []kept) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var v verdict
	places, last := v.order(history, l.sends)
	v.outcomes(l.sends, places)
	for client, rs := range l.receipts {
		if at := v.received(client, rs, places); at != last {
			v.add("client %d: ends at %d of %d", client, at, last)
		}
	}
	slices.Sort(v.wrong)
	return v
}

func (v *verdict) add(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// order checks that the history is one chain of messages that were sent, each once. It returns the place of each, and the last place.
func (v *verdict) order(history []kept, sends map[string]outcome) (places map[string]uint64, last uint64) {
	places = make(map[string]uint64)
	for _, k := range history {
		if k.prev != last || k.seq <= last {
			v.add("history: %d follows %d, and its prev is %d", k.seq, last, k.prev)
		}
		last = k.seq
		if was, twice := places[k.id]; twice {
			v.add("history: %s stands at %d and at %d", k.id, was, k.seq)
		}
		places[k.id] = k.seq
		if _, ours := sends[k.id]; !ours {
			v.add("history: %s was never sent", k.id)
		}
	}
	return places, last
}

// outcomes counts what became of the sends, and checks it against the history.
func (v *verdict) outcomes(sends map[string]outcome, places map[string]uint64) {
	for id, o := range sends {
		_, isThere := places[id]
		switch o {
		case acknowledged:
			v.acknowledged++
			if !isThere {
				v.add("lost: %s was acknowledged", id)
			}
		case failed:
			v.failed++
			if isThere {
				v.add("%s was refused, and is there", id)
			}
		default:
			v.unknown++
			if isThere {
				v.unknownKept++
			}
		}
	}
}

// received checks what one client was shown, in the order in which it was shown. It returns the client's last place.
func (v *verdict) received(client int, rs []receipt, places map[string]uint64) (at uint64) {
	placed, epoch := false, ""
	seen := make(map[string]bool)
	for _, r := range rs {
		switch r.kind {
		case "hello":
			if epoch != "" {
				v.add("client %d: begins afresh after %d", client, at)
			}
			placed, epoch = false, r.epoch
		case "resumed":
			v.resumes++
			if r.epoch != epoch {
				v.add("client %d: resumed in epoch %s, was in %s", client, r.epoch, epoch)
			}
		case "gap":
			v.add("client %d: a gap up to %d", client, r.seq)
			at = r.seq
		case "message":
			v.receipts++
			if seen[r.id] {
				v.add("client %d: %s a second time, at %d", client, r.id, r.seq)
			}
			seen[r.id] = true
			if placed && r.prev != at {
				v.add("client %d: a hole between %d and %d, whose prev is %d", client, at, r.seq, r.prev)
			}
			if places[r.id] != r.seq {
				v.add("client %d: %s was shown at %d, and stands at %d", client, r.id, r.seq, places[r.id])
			}
			at, placed = r.seq, true
		}
	}
	return at
}
