package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/doyasa/doyasa/hub"
)

// conn is one membership of a client, and its Owner.
type conn struct {
	*client
	member *hub.Member

	// Guarded by world.mu; the hub goroutine and the journal's write these.
	joined    *hub.Joined
	start     int // messages published before Joined
	left      *hub.Left
	open      []*hub.Message // said and without an outcome, in this order
	published int            // place in the order behind the last of its messages that it is shown
	wakes     int
	page      *hub.Page
	pageErr   error

	// What a session would own.
	begun   bool
	live    bool // walking the log; before that, catching up with pages
	asked   bool // for a page
	end     uint64
	next    int // place in the order of the next message
	partial []byte
	count   int // people
	leaving bool
	unsent  *hub.Message // Say refused it
	refused int          // wakes before that
	idle    bool         // nothing was due
	seen    int          // wakes before that
}

const everything = 1 << 20

func (k *conn) Wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wakes++
}

func (k *conn) Notify(n hub.Notice) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wakes++
	if k.left != nil {
		k.fail("%T after Left", n)
	}
	switch n := n.(type) {
	case hub.Joined:
		k.joined, k.start = &n, len(k.order)
		if head := k.head(); n.Head != head || n.Epoch == "" {
			k.fail("Joined with head %d, epoch %q, want %d", n.Head, n.Epoch, head)
		}
	case hub.Repeated:
		if k.said[n.Message] != k {
			k.fail("somebody else's retry was answered")
		}
		k.repeated(n.Message)
	case hub.Refused:
		i := slices.IndexFunc(k.open, func(m *hub.Message) bool { return m.ID == n.ID })
		if i < 0 || !errors.Is(n.Err, errRefused) {
			k.fail("refused %x: %v", n.ID[:2], n.Err)
			return
		}
		k.outcome(k.open[i], "refused")
	case hub.Left:
		if k.left = &n; len(k.open) > 0 {
			k.fail("Left with %d messages that have no outcome", len(k.open))
		}
	}
}

// head is the newest Seq published. Called with mu held, or when all is settled.
func (w *world) head() uint64 {
	for i := len(w.order) - 1; i >= 0; i-- {
		if !w.order[i].Transient {
			return w.order[i].Seq
		}
	}
	return 0
}

// pump does what a session does when its socket takes at most budget bytes.
func (c *client) pump(budget int) {
	k := c.conn
	if k == nil || k.joined == nil {
		return
	}
	cursor := k.member.Cursor()
	if due, err := cursor.Due(); k.live && k.idle && k.seen == k.wakes && (len(due) > 0 || err != nil) {
		c.Fatalf("client %s: %d bytes due, %v, and not woken", c.who.ID, len(due), err)
	}
	k.begin()
	if !k.live {
		k.takePage()
	}
	if k.live {
		k.write(budget)
	}
	if c.conn != k {
		return
	}
	if len(k.partial) == 0 {
		if p := k.member.TakePeople(); p != nil {
			fmt.Sscan(string(p), &k.count)
		}
	}
	if k.live && k.left != nil && cursor.Offset() >= k.left.End && len(k.partial) == 0 {
		if k.next < k.published {
			c.Fatalf("client %s: Left.End is in front of what it said", c.who.ID)
		}
		c.conn = nil
	}
}

// begin decides where to go on.
func (k *conn) begin() {
	if k.begun {
		return
	}
	k.begun = true
	k.count = k.joined.People.Count
	switch {
	case !k.chat || !k.came:
		k.came, k.live = true, true
		k.last, k.next = k.joined.Head, k.start
	case k.last > k.joined.Head:
		k.Fatalf("client %s was sent Seq %d, and now the head is %d", k.who.ID, k.last, k.joined.Head)
	default:
		k.seek()
	}
}

// seek goes on in the log if it reaches back to where the client is.
func (k *conn) seek() {
	before := k.member.Cursor().Offset()
	if k.live = k.member.Cursor().Seek(k.last); !k.live {
		if at := k.member.Cursor().Offset(); at != before {
			k.Fatalf("a seek in vain moved the cursor from %d to %d", before, at)
		}
		return
	}
	seq := uint64(0)
	for i, m := range k.order {
		if !m.Transient {
			seq = m.Seq
		}
		if seq <= k.last {
			k.next = i + 1
		}
	}
}

// takePage catches up by one page, or asks for it.
func (k *conn) takePage() {
	if !k.asked {
		_, k.end = k.member.Cursor().End()
		k.asked = true
		q := hub.PageQuery{After: k.last, Before: k.end + 1, Limit: 2, Bytes: 100}
		k.member.Page(q, func(p hub.Page, err error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.page, k.pageErr = &p, err
		})
		k.settle()
	}
	if k.page == nil {
		return
	}
	p, err := k.page, k.pageErr
	k.page, k.asked = nil, false
	if err != nil {
		return
	}
	if floor := min(p.Floor, k.end); floor > k.last {
		k.missing(k.last+1, floor)
	}
	for _, m := range p.Messages {
		k.stored(m)
	}
	k.seek()
}

// missing announces a hole.
func (k *conn) missing(from, to uint64) {
	exists := false
	for _, m := range k.order {
		exists = exists || !m.Transient && m.Seq == to
	}
	if from != k.last+1 || to < from || !exists {
		k.Fatalf("client %s at Seq %d: gap %d to %d (published: %v)", k.who.ID, k.last, from, to, exists)
	}
	k.last = to
}

// stored receives the next message that has a Seq.
func (k *conn) stored(m *hub.Message) {
	if k.chat && m.Prev != k.last {
		k.Fatalf("client %s at Seq %d: next is %d behind %d", k.who.ID, k.last, m.Seq, m.Prev)
	}
	k.last = m.Seq
}

// write walks the log.
func (k *conn) write(budget int) {
	cursor := k.member.Cursor()
	for {
		k.idle = false
		at := cursor.Offset()
		due, err := cursor.Due()
		if err != nil {
			if !k.overtaken(err) {
				return
			}
			continue
		}
		if len(due) == 0 {
			k.idle, k.seen = true, k.wakes
			break
		}
		if cursor.Offset() != at {
			k.Fatalf("client %s: Due moved the cursor from %d to %d", k.who.ID, at, cursor.Offset())
		}
		n := min(len(due), budget)
		k.receive(due[:n])
		cursor.Advance(n)
		if budget -= n; budget == 0 {
			break
		}
	}
	if (len(cursor.Rest()) == 0) != (len(k.partial) == 0) {
		k.Fatalf("client %s: %d bytes left of the record in progress, which has %q", k.who.ID, len(cursor.Rest()), k.partial)
	}
}

// overtaken skips what is gone, or ends a raw connection.
func (k *conn) overtaken(err error) bool {
	cursor := k.member.Cursor()
	if !errors.Is(err, hub.ErrOvertaken) || len(k.partial) > 0 || len(cursor.Rest()) > 0 {
		k.Fatalf("client %s: %v, with %q of a record written", k.who.ID, err, k.partial)
	}
	if again := *cursor; again.Seek(cursor.Seq()) && again.Offset() == cursor.Offset() {
		k.Fatalf("client %s: overtaken, but what follows offset %d is still there", k.who.ID, cursor.Offset())
	}
	if !k.chat {
		k.cut()
		return false
	}
	if from, to := cursor.Skip(); from <= to {
		k.missing(from, to)
	}
	if at, seq := cursor.End(); at != cursor.Offset() || seq != k.last {
		k.Fatalf("client %s: skipped to Seq %d at %d, want the end, %d at %d", k.who.ID, k.last, cursor.Offset(), seq, at)
	}
	k.next = len(k.order)
	return true
}

// receive takes bytes from the socket: whole lines, each the next in the one order.
func (k *conn) receive(b []byte) {
	k.partial = append(k.partial, b...)
	for {
		i := bytes.IndexByte(k.partial, '\n')
		if i < 0 {
			return
		}
		line := k.partial[:i+1]
		k.hidden()
		if k.next == len(k.order) {
			k.Fatalf("client %s: %q, want nothing", k.who.ID, line)
		}
		m := k.order[k.next]
		if want := k.form.Message(nil, m); !bytes.Equal(line, want) {
			k.Fatalf("client %s: %q, want %q", k.who.ID, line, want)
		}
		if k.next++; !m.Transient {
			k.stored(m)
		}
		k.partial = k.partial[i+1:]
	}
}

// hidden passes over messages that the form does not show.
func (k *conn) hidden() {
	for k.next < len(k.order) && !k.shows(k.order[k.next]) {
		k.next++
	}
}

// interject is a pong falling due: it may only be written between records.
func (c *client) interject() {
	k := c.conn
	if k == nil || !k.live {
		return
	}
	rest := k.member.Cursor().Rest()
	k.receive(rest)
	k.member.Cursor().Advance(len(rest))
	if len(k.partial) > 0 {
		c.Fatalf("client %s: %q in front of a pong", c.who.ID, k.partial)
	}
}

// atEnd checks that nothing is missing once all is quiet.
func (c *client) atEnd() {
	k := c.conn
	if k == nil {
		return // raw, and overtaken
	}
	k.hidden()
	if !k.live || k.next != len(c.order) || len(k.partial) > 0 || c.chat && c.last != c.head() {
		c.Fatalf("client %s: live %v, %d of %d messages, Seq %d of %d", c.who.ID, k.live, k.next, len(c.order), c.last, c.head())
	}
	if k.count != 5 { // the witness and four clients, one of them twice
		c.Fatalf("client %s: told of %d people, want 5", c.who.ID, k.count)
	}
}
