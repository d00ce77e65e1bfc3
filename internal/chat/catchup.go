package chat

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
)

// Catching up: the frames that a member of doyasa.v1 is sent between Joined and `live`. Newcomers and
// returning members go through the same phases:
//
//	greeting     read a page of what is to follow, which tells whether the client can go on where it was;
//	             then `hello`
//	catchingUp   pages of the journal, each encoded in batches, and each batch written before the next is
//	             made, until the log reaches back to seq; then the cursor is set there
//	handingOver  the log up to its end at that moment, then `live`
//
// The flags reading and placed of an arrival are independent of each other. While reading is true, the
// session waits for a page, or for the rate at which it may read pages, and owed is empty. While placed is
// true, the client has a position, and each hole after that position must be announced. In greeting and in
// catchingUp each flag may be true or false.

const (
	pageBytes  = 64 << 10 // bytes of payload that one page of the journal has
	batchBytes = 12 << 10 // bytes of a page that are encoded before they are written
	// maxHistoryWait is how long a member may wait until the rate of its address allows the next page. A client
	// that would wait longer is told to come back later.
	maxHistoryWait = 5 * time.Second
)

// The reasons why a client starts afresh instead of continuing from its position.
const (
	reasonFresh   = "fresh"   // the client did not ask to resume
	reasonEpoch   = "epoch"   // the client's position belongs to another epoch
	reasonUnknown = "epoch"   // the room has no message with the client's position, so the position comes from an earlier store
	reasonTrimmed = "trimmed" // the messages after the client's position have been trimmed
	reasonFuture  = "future"  // the client's position is ahead of the room's last one
)

// An arrival is what a member asked for when it joined, and how much of that it has been sent.
type arrival struct {
	request    *Request
	joined     hub.Joined
	afterHello []byte         // frames that were queued before `hello` and must follow it
	reading    bool           // the session waits for a page, or for the rate
	owed       []*hub.Message // the messages of a page that are not encoded yet
	seq        uint64         // the last position that was encoded; at first, the position after which to begin
	placed     bool           // the client has a position, so a hole after it must be announced
}

// join decides whether the member continues from its position or begins with some history.
func (v *v1) join(j hub.Joined) {
	a := v.arrival
	a.joined = j
	v.session.follow()
	if !a.request.Resume {
		v.begin(reasonFresh)
		return
	}
	switch after := a.request.After; {
	case a.request.Epoch != j.Epoch:
		v.begin(reasonEpoch)
	case after > j.Head:
		v.begin(reasonFuture)
	default:
		v.resume(after)
	}
}

// resume continues from a position if the history still knows that position. The journal is asked even if the
// log has all later messages, for two reasons: the log may reach back further than the limits of the history
// allow, and only the journal knows whether a message has this position.
func (v *v1) resume(after uint64) {
	q := hub.PageQuery{After: after, Before: v.arrival.joined.Head + 1}
	inLog := v.session.member.Cursor().Seek(after)
	if inLog {
		q.Limit = 1
	}
	v.page(q, func(p hub.Page) {
		switch {
		case p.Floor > after:
			v.begin(reasonTrimmed)
		case !p.Known:
			v.begin(reasonUnknown)
		default:
			v.hello("", after)
			if !inLog {
				v.arrival.owed = p.Messages
			}
		}
	})
}

// begin starts with the newest messages, as many as the client asked for.
func (v *v1) begin(reason string) {
	a := v.arrival
	if a.request.History == 0 {
		v.hello(reason, a.joined.Head)
		return
	}
	newest := hub.PageQuery{Before: a.joined.Head + 1, Limit: a.request.History, Newest: true}
	v.page(newest, func(p hub.Page) {
		seq := a.joined.Head
		if len(p.Messages) > 0 {
			seq = p.Messages[0].Prev // these messages are read again in pages, or come from the log
		}
		v.hello(reason, seq)
	})
}

// page reads a page when the rate of the address allows it, and calls a function with it as a method of the
// session.
func (v *v1) page(q hub.PageQuery, then func(hub.Page)) {
	if q.Limit == 0 {
		q.Limit, q.Bytes = MaxPage, pageBytes
	}
	v.paced(func() { v.read(q, then) })
}

// paced calls f once the address may read one more page or resume. If that would take longer than
// maxHistoryWait, the client is told to come back later.
func (v *v1) paced(f func()) {
	s := v.session
	wait, ok := s.shared.Quotas.History.Reserve(s.from().Network(), time.Now(), maxHistoryWait)
	if wait > 0 {
		s.shared.Counters.Throttled("history")
	}
	switch {
	case !ok:
		s.refuse(RateLimited, "", "too many pages of history and resumes from one address", 0)
	case wait > 0:
		v.arrival.reading = true
		time.AfterFunc(wait, func() { s.conn.Post(v.whileArriving(f)) })
	default:
		f()
	}
}

// read reads a page, and calls a function with it as a method of the session.
func (v *v1) read(q hub.PageQuery, then func(hub.Page)) {
	s := v.session
	v.arrival.reading = true
	s.member.Page(q, func(p hub.Page, err error) {
		s.conn.Post(v.whileArriving(func() {
			if err != nil {
				s.event(zerolog.ErrorLevel).Err(err).Msg("history could not be read")
				s.withdraw(Internal)
				return
			}
			then(p)
		}))
	})
}

// whileArriving returns a function that ends the reading and calls f. It does nothing if the session has
// ended meanwhile.
func (v *v1) whileArriving(f func()) func() {
	return func() {
		if p := v.session.phase; p == greeting || p == catchingUp {
			v.arrival.reading = false
			f()
		}
	}
}

// hello queues the `hello` frame. An empty reason means that the client continues from its position. The
// messages after seq follow.
func (v *v1) hello(reason string, seq uint64) {
	a := v.arrival
	v.session.phase = catchingUp
	a.seq, a.placed = seq, reason == ""
	v.send(newHelloFrame(v.session, a, reason))
	v.queue(a.afterHello)
	a.afterHello = nil
}

// catchUp encodes the next batch once the previous one is written, and checks whether the log reaches back
// far enough to take over.
func (v *v1) catchUp() {
	s, a := v.session, v.arrival
	for s.phase == catchingUp && !a.reading && len(s.out) < batchBytes {
		if len(a.owed) > 0 {
			m := a.owed[0]
			a.owed[0] = nil // the garbage collector may free this message while the later ones wait to be written
			a.owed = a.owed[1:]
			a.seq, a.placed = max(a.seq, m.Seq), true
			v.send(NewMessageFrame(m))
			continue
		}
		cursor := s.member.Cursor()
		end, head := cursor.End()
		if cursor.Seek(a.seq) {
			s.phase, s.until = handingOver, end
			return
		}
		v.page(hub.PageQuery{After: a.seq, Before: head + 1}, func(p hub.Page) {
			// Messages may have been trimmed while the page was read. The hole is announced, but not
			// beyond head: what follows head is still in the log.
			if floor := min(p.Floor, head); floor > a.seq {
				if a.placed {
					v.send(gapFrame{"gap", a.seq + 1, floor})
				}
				a.seq = floor
			}
			a.owed = p.Messages
		})
	}
}
