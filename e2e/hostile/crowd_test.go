package hostile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// A crowd are the bystanders: half of them raw, half doyasa.v1, all in the default room, where they exchange a numbered stream while
// strangers misbehave. Every one must get every message once, in the one order, and keep its connection.
type crowd struct {
	members []*bystander
	seed    maphash.Seed

	mu      sync.Mutex // guards what follows
	changed *sync.Cond // something has come, or trouble
	said    []int      // by each member, numbered from 1
	sentAt  [][]time.Time
	order   []uint64        // the running hash behind each message of the one order, as the first to get so far has it
	took    []time.Duration // from saying to receiving, since it was last asked for
	trouble []string        // since it was last asked for

	stop, stopped chan struct{} // close stop to end the talking; stopped is closed by the talker
}

// A bystander reads in a goroutine of its own; what follows conn is guarded by the crowd's mu.
type bystander struct {
	crowd *crowd
	index int
	v1    bool
	conn  *wire.Conn

	last    []int // the number of the last message of each member
	count   int   // messages of the crowd
	hash    uint64
	seq     uint64          // doyasa.v1: the last position
	strange map[string]bool // texts that are not the crowd's
}

const crowdSize = 20

// mark begins what the crowd says, and nothing else.
const mark = "bystander "

// newCrowd lets bystanders in and lets them talk, perSecond messages in all.
func newCrowd(t *testing.T, addr string, perSecond int) *crowd {
	t.Helper()
	c := &crowd{seed: maphash.MakeSeed(), said: make([]int, crowdSize), sentAt: make([][]time.Time, crowdSize),
		stop: make(chan struct{}), stopped: make(chan struct{})}
	c.changed = sync.NewCond(&c.mu)
	for i := range crowdSize {
		b := &bystander{crowd: c, index: i, v1: i%2 == 1, last: make([]int, crowdSize), strange: map[string]bool{}}
		var header []string
		if b.v1 {
			header = []string{"Sec-WebSocket-Protocol: doyasa.v1"}
		}
		var err error
		if b.conn, err = wire.Dial(addr, "/websocket?history=0&name=bystander"+strconv.Itoa(i), header...); err != nil {
			t.Fatal(err)
		}
		b.conn.SetDeadline(time.Time{})
		t.Cleanup(func() { b.conn.Close() })
		// In the room is who has been answered: raw by its own words, v1 by hello and live.
		if !b.v1 {
			b.conn.Send(wire.Text, []byte("here"))
		}
		for want := map[bool]string{false: "here", true: `{"type":"live"`}[b.v1]; ; {
			f, err := b.conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(f.Payload), want) {
				var live struct{ Seq uint64 }
				json.Unmarshal(f.Payload, &live)
				b.seq = live.Seq
				break
			}
		}
		c.members = append(c.members, b)
	}
	for _, b := range c.members {
		go b.read()
	}
	go c.talk(perSecond)
	t.Cleanup(func() { close(c.stop); <-c.stopped })
	return c
}

// talk lets one after the other say something.
func (c *crowd) talk(perSecond int) {
	defer close(c.stopped)
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for i := 0; ; i = (i + 1) % len(c.members) {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
		}
		c.mu.Lock()
		c.said[i]++
		text := fmt.Sprintf("%s%d %d", mark, i, c.said[i])
		c.sentAt[i] = append(c.sentAt[i], time.Now())
		c.mu.Unlock()
		if c.members[i].v1 {
			text = fmt.Sprintf(`{"type":"say","text":%q}`, text)
		}
		c.members[i].conn.Send(wire.Text, []byte(text)) // that it is lost shows at the receivers
	}
}

// read takes in what comes until the connection is closed.
func (b *bystander) read() {
	for {
		f, err := b.conn.ReadFrame()
		select {
		case <-b.crowd.stop:
			return
		default:
		}
		switch {
		case err != nil:
			b.complain("lost its connection: %v", err)
			return
		case f.Code() != 0:
			b.complain("was sent away: %v", f)
			return
		case f.First == wire.Fin|wire.Ping:
			b.conn.Send(wire.Pong, f.Payload)
		case f.First == wire.Fin|wire.Text && b.v1:
			b.receiveV1(f.Payload)
		case f.First == wire.Fin|wire.Text:
			b.receive(string(f.Payload))
		case f.First != wire.Fin|wire.Binary || b.v1:
			b.complain("got %v", f)
		}
	}
}

func (b *bystander) complain(format string, args ...any) {
	b.crowd.mu.Lock()
	defer b.crowd.mu.Unlock()
	b.crowd.trouble = append(b.crowd.trouble, fmt.Sprintf("bystander %d ", b.index)+fmt.Sprintf(format, args...))
	b.crowd.changed.Broadcast()
}

func (b *bystander) receiveV1(payload []byte) {
	var f struct {
		Type, Text string
		Seq, Prev  uint64
	}
	if err := json.Unmarshal(payload, &f); err != nil {
		b.complain("got %q: %v", payload, err)
		return
	}
	switch f.Type {
	case "message":
		if f.Prev != b.seq {
			b.complain("has a hole: %d comes behind %d, the last was %d", f.Seq, f.Prev, b.seq)
		}
		b.seq = f.Seq
		b.receive(f.Text)
	case "people", "beat":
	default:
		b.complain("got %s", payload)
	}
}

func (b *bystander) receive(text string) {
	now := time.Now()
	var from, n int
	if rest, ok := strings.CutPrefix(text, mark); !ok {
		b.crowd.mu.Lock()
		b.strange[text] = true
		b.crowd.changed.Broadcast()
		b.crowd.mu.Unlock()
		return
	} else if _, err := fmt.Sscan(rest, &from, &n); err != nil || from < 0 || from >= crowdSize {
		b.complain("got %q", text)
		return
	}
	c := b.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Broadcast()
	if n != b.last[from]+1 {
		c.trouble = append(c.trouble, fmt.Sprintf("bystander %d got message %d of %d behind %d", b.index, n, from, b.last[from]))
	}
	b.last[from] = n
	if n <= len(c.sentAt[from]) {
		c.took = append(c.took, now.Sub(c.sentAt[from][n-1]))
	}
	b.hash = maphash.Comparable(c.seed, [2]uint64{b.hash, maphash.String(c.seed, text)})
	if b.count == len(c.order) {
		c.order = append(c.order, b.hash)
	} else if c.order[b.count] != b.hash {
		c.trouble = append(c.trouble, fmt.Sprintf("bystander %d has another order at %d, with %q", b.index, b.count, text))
	}
	b.count++
}

// settle waits until everybody has got what had been said when it was called, and returns the 99th percentile of the time that
// messages took since the last call. The error tells what has gone wrong since then.
func (c *crowd) settle() (p99 time.Duration, err error) {
	patience := time.AfterFunc(wire.Patience, func() {
		c.mu.Lock()
		c.trouble = append(c.trouble, fmt.Sprintf("bystanders have waited %v for each other's messages", wire.Patience))
		c.changed.Broadcast()
		c.mu.Unlock()
	})
	defer patience.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	want := slices.Clone(c.said)
	behind := func(b *bystander) bool {
		for i := range want {
			if b.last[i] < want[i] {
				return true
			}
		}
		return false
	}
	for len(c.trouble) == 0 && slices.ContainsFunc(c.members, behind) {
		c.changed.Wait()
	}
	p99 = percentile(c.took, 99)
	if len(c.trouble) > 0 {
		err = errors.New(strings.Join(c.trouble[:min(5, len(c.trouble))], "\n"))
	}
	c.took, c.trouble = nil, nil
	return p99, err
}

// percentile returns the p-th of a hundred parts of some times; 0 of none.
func percentile(took []time.Duration, p int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

// heard waits until everybody has got a text that is none of the crowd's.
func (c *crowd) heard(text string) error {
	return c.wait(func() bool {
		return !slices.ContainsFunc(c.members, func(b *bystander) bool { return !b.strange[text] })
	}, fmt.Sprintf("not everybody has got %.100q", text))
}

// heardNothingLike tells whether nobody has got a text that contains part. Settle first: what comes later is not seen.
func (c *crowd) heardNothingLike(part string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.members {
		for text := range b.strange {
			if strings.Contains(text, part) {
				return fmt.Errorf("bystander %d has got %.100q, which should never have been said", b.index, text)
			}
		}
	}
	return nil
}

func (c *crowd) wait(done func() bool, otherwise string) error {
	late := false
	patience := time.AfterFunc(wire.Patience, func() {
		c.mu.Lock()
		late = true
		c.changed.Broadcast()
		c.mu.Unlock()
	})
	defer patience.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done() && len(c.trouble) == 0 {
		if late {
			return fmt.Errorf("%s within %v", otherwise, wire.Patience)
		}
		c.changed.Wait()
	}
	return nil // trouble is told by settle
}

// forget lets go of what strangers have said.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.members {
		clear(b.strange)
	}
}
