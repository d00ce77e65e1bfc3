package server

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

const (
	maxPage   = 200      // messages read from the journal at once
	pageBytes = 64 << 10 // payload read from the journal at once
	// batchBytes is how much of a page is encoded before it is written.
	batchBytes = 12 << 10
)

// Reasons for which a client starts afresh instead of going on where it was.
const (
	reasonFresh   = "fresh"   // it did not ask
	reasonEpoch   = "epoch"   // its position is of another epoch
	reasonTrimmed = "trimmed" // what follows its position is no longer kept
	reasonFuture  = "future"  // its position is ahead of ours
)

// join answers what the client asked for: to go on behind a position, or to begin with
// some history. From the first page on it is one path: pages from the journal, each
// written before the next is read, until the log reaches back to where we are. There
// the cursor is set, and what follows is the log's.
func (v *v1) join(j hub.Joined) {
	v.joined = j
	v.session.follow()
	v.session.catching = true
	if !v.query.resume {
		v.begin(reasonFresh)
		return
	}
	switch after := v.query.after; {
	case v.query.epoch != j.Epoch:
		v.begin(reasonEpoch)
	case after > j.Head:
		v.begin(reasonFuture)
	case v.session.member.Cursor().Seek(after):
		v.paced(func() {
			v.hello("")
			v.seq = after
		})
	default:
		v.page(hub.PageQuery{After: after, Before: j.Head + 1}, func(p hub.Page) {
			if p.Floor > after {
				v.begin(reasonTrimmed)
				return
			}
			v.hello("")
			v.seq, v.owed = after, p.Messages
		})
	}
}

// begin starts with the newest messages, as many as asked for.
func (v *v1) begin(reason string) {
	if v.query.history == 0 {
		v.hello(reason)
		v.seq = v.joined.Head
		return
	}
	newest := hub.PageQuery{Before: v.joined.Head + 1, Limit: v.query.history, Newest: true}
	v.page(newest, func(p hub.Page) {
		v.hello(reason)
		v.seq = v.joined.Head
		if len(p.Messages) > 0 {
			v.seq = p.Messages[0].Prev // they are read again in pages, or stand in the log
		}
	})
}

// page reads a page, at the pace of the address, and hands it on where the session's
// methods run.
func (v *v1) page(q hub.PageQuery, then func(hub.Page)) {
	if q.Limit == 0 {
		q.Limit, q.Bytes = maxPage, pageBytes
	}
	v.paced(func() { v.read(q, then) })
}

// paced calls f when the address may have one more page or resume, now or soon, and lets
// the client come back later if that is not soon.
func (v *v1) paced(f func()) {
	s := v.session
	wait, ok := s.server.quotas.history.reserve(s.from().network(), time.Now(), maxHistoryWait)
	if wait > 0 {
		s.server.metrics.throttled.WithLabelValues("history").Inc()
	}
	switch {
	case !ok:
		s.catching = false
		s.refuse(wsproto.CloseTryAgainLater, errRateLimited.code, "", "too many pages of history and resumes from one address", 0)
	case wait > 0:
		v.reading = true // so that nobody asks for the same meanwhile
		time.AfterFunc(wait, func() {
			s.conn.Post(func() {
				v.reading = false
				f()
			})
		})
	default:
		f()
	}
}

// read reads a page and hands it on where the session's methods run.
func (v *v1) read(q hub.PageQuery, then func(hub.Page)) {
	v.reading = true
	v.session.member.Page(q, func(p hub.Page, err error) {
		v.session.conn.Post(func() {
			v.reading = false
			if err != nil {
				v.session.event(zerolog.ErrorLevel).Err(err).Msg("history could not be read")
				v.session.catching = false
				v.session.close(wsproto.CloseTryAgainLater, errInternal.code, nil)
				return
			}
			then(p)
		})
	})
}

// hello comes first. An empty reason means that the client goes on where it was.
func (v *v1) hello(reason string) {
	s := v.session
	v.greeted, v.placed = true, reason == ""
	v.send(helloFrame{
		Type:    "hello",
		Room:    v.query.room,
		Epoch:   v.joined.Epoch,
		Seq:     v.joined.Head,
		You:     youField{s.author.ID, s.author.Name, v.who.secret},
		Resumed: reason == "",
		Reason:  reason,
		People:  peopleField{v.joined.People.Count, listed(v.joined.People.Names)},
		Limits:  limitsField{s.server.cfg.Limits.TextBytes, s.server.cfg.Limits.MessagesPerSecond, s.server.cfg.Limits.Burst},
		At:      nowMillis(),
	})
	v.pend(v.behind)
	v.behind = nil
}

// catchUp encodes the next batch once the one before is written, and finds out whether
// the log can take over.
func (v *v1) catchUp() {
	s := v.session
	for v.greeted && !v.reading && len(s.out) < batchBytes {
		if len(v.owed) > 0 {
			m := v.owed[0]
			v.owed[0] = nil // for the collector: the rest may take long to be written
			v.owed = v.owed[1:]
			v.seq, v.placed = max(v.seq, m.Seq), true
			v.send(newMessageFrame(m))
			continue
		}
		cursor := s.member.Cursor()
		end, head := cursor.End()
		if cursor.Seek(v.seq) {
			s.catching, s.following, s.stopAt = false, true, end
			return
		}
		v.page(hub.PageQuery{After: v.seq, Before: head + 1}, func(p hub.Page) {
			// A trim may have overtaken us, but what is behind head is still to come from the log.
			if floor := min(p.Floor, head); floor > v.seq {
				if v.placed {
					v.send(gapFrame{"gap", v.seq + 1, floor})
				}
				v.seq = floor
			}
			v.owed = p.Messages
		})
	}
}
