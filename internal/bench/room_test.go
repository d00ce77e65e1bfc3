package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// offline is a run without sockets: one room, its messages already said.
func offline(members, senders, messages int) *run {
	r := &run{opts: Options{Size: 64}, tag: 7, base: time.Now(), filler: newFiller(64), from: 1, sending: true}
	r.addGroup(Group{Rooms: 1, Members: members, Senders: senders, Rate: 1})
	for i := range r.conns {
		r.conns[i].open = true
	}
	for m := range messages {
		r.senders[m%senders].issued++
	}
	return r
}

// messageFrame is the frame of the n-th message of a sender.
func (r *run) messageFrame(sender, n int) []byte {
	return textFrame(append(appendHead(nil, newKey(sender, uint64(n)), r.tag, time.Second), r.filler...))
}

// Whatever is left out, doubled or moved for some members, the count of it is exact; and without any of it no fault is found.
func TestVerdictModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(2, 5).Draw(t, "members")
		senders := rapid.IntRange(1, members).Draw(t, "senders")
		messages := rapid.IntRange(1, 60).Draw(t, "messages")
		r := offline(members, senders, messages)
		order := make([][]byte, messages)
		for m := range messages {
			order[m] = r.messageFrame(m%senders, m/senders)
		}
		var lost, doubled int64
		for i := range members {
			for _, f := range order {
				times := 1
				if i > 0 { // the first shows the order
					times = rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2}).Draw(t, "times")
				}
				switch times {
				case 0:
					lost++
				case 2:
					doubled++
				}
				for range times {
					r.parse(i, &r.conns[i], append([]byte(nil), f...), 2*time.Second)
				}
			}
		}
		r.judge()
		if r.faults.lost != lost || r.faults.doubled != doubled || r.faults.reordered != 0 {
			t.Fatalf("faults %+v; want %d lost and %d doubled", r.faults, lost, doubled)
		}
	})
}

// Two members with two orders: who comes second has them out of order, nothing is lost or doubled. The hash tells the orders apart.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const messages = 30
		r := offline(2, 2, messages)
		frames := make([][]byte, messages)
		for m := range messages {
			frames[m] = r.messageFrame(m%2, m/2)
		}
		for _, f := range frames {
			r.parse(0, &r.conns[0], f, 0)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		shuffled := rand.New(rand.NewPCG(seed, seed)).Perm(messages)
		for _, m := range shuffled {
			r.parse(1, &r.conns[1], frames[m], 0)
		}
		r.judge()
		same := fmt.Sprint(shuffled) == fmt.Sprint(identity(messages))
		if f := r.faults; f.lost+f.doubled != 0 || (f.reordered == 0) != same {
			t.Fatalf("faults %+v for the order %v", f, shuffled)
		}
	})
}

func identity(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// The running hash is of the order, not of the set.
func TestOrderHash(t *testing.T) {
	hash := func(order ...int) uint64 {
		r := offline(2, 2, 4)
		for _, m := range order {
			r.parse(0, &r.conns[0], r.messageFrame(m%2, m/2), 0)
		}
		return r.rooms[0].hash
	}
	first, again := hash(0, 1, 2, 3), hash(0, 1, 2, 3)
	if first != again {
		t.Error("the same order has two hashes")
	}
	if first == hash(1, 0, 2, 3) || first == hash(0, 1, 2) {
		t.Error("two orders have the same hash")
	}
}

// What everybody has seen is forgotten, so that a flood of an hour takes no more memory than one of a second.
func TestForget(t *testing.T) {
	const messages = 100_000
	r := offline(2, 1, messages)
	for n := range messages {
		f := r.messageFrame(0, n)
		r.parse(0, &r.conns[0], f, 0)
		r.parse(1, &r.conns[1], f, 0)
	}
	r.judge()
	if r.faults.total() != 0 || r.arrived != 2*messages {
		t.Errorf("%d deliveries, faults %+v", r.arrived, r.faults)
	}
	if n := cap(r.rooms[0].entries); n > 16_384 {
		t.Errorf("%d entries are kept of %d", n, messages)
	}
}
