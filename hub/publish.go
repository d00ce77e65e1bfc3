package hub

import "time"

// This file has what the hub goroutine does with messages that have come back from the
// journal.

// publish appends the messages that have come back to the logs, answers their senders, and
// wakes the watchers of the logs that have grown. It tells whether any message had come back.
func (r *room) publish() bool {
	r.committedMu.Lock()
	entries := r.committed
	r.committed, r.spare = r.spare[:0], entries
	r.committedMu.Unlock()
	if len(entries) == 0 {
		return false
	}
	freed, messages, deliveries, newest := 0, 0, 0, time.Duration(0)
	for _, e := range entries {
		from, own := r.inFlight[e.Message]
		if own {
			delete(r.inFlight, e.Message)
			freed += e.Message.Size()
			from.await(-1)
		}
		switch {
		case e.Err != nil:
			r.refuse(e, from)
		case e.Repeated:
			if own {
				r.repeat(e.Message, from)
			}
		default:
			deliveries += r.append(e.Message)
			messages++
			newest = from.since
			if from.reply != nil {
				from.reply(e.Message, nil)
			}
		}
	}
	clear(entries)
	if newest == 0 { // another process received the message, and its clock differs from ours
		newest = r.hub.clock()
	}
	if r.name != probeRoom {
		r.hub.counters.published(messages, deliveries)
	}
	r.wake(newest)
	r.inbox.done(freed)
	return true
}

// append puts one message at the end of every log whose form shows it, and returns how many
// members these logs have.
func (r *room) append(m *Message) (members int) {
	r.position.apply(m)
	for _, l := range r.logs {
		if l.append(m, r.hub.opts.ChunkBytes, &r.hub.logBytes) {
			l.grown = true
			members += l.members
		}
		for l.bytes > r.hub.opts.LogBytes || r.hub.logBytes.Load() > int64(r.hub.opts.TotalLogBytes) {
			if !l.evict(&r.hub.logBytes) {
				break
			}
		}
	}
	if m.Idempotent {
		was := r.recent.add(Stored{m.ID, m.Seq, m.Prev, m.At})
		r.recent.forget(time.Now())
		r.answerRetries(m.ID, func(from origin, retry *Message) {
			r.hub.counters.repeated.Add(1)
			from.repeated(retry, was)
		})
	}
	return members
}

// wake wakes the watchers of the logs that have grown. newest is when the room received the
// newest message, by Hub.clock.
func (r *room) wake(newest time.Duration) {
	for _, l := range r.logs {
		if l.grown {
			l.grown = false
			l.newest.Store(int64(newest))
			l.watchers.wake()
		}
	}
}

// repeat answers the sender of a message that is stored already, because another process has
// appended the same id before. It also answers the senders of retries that came meanwhile.
func (r *room) repeat(m *Message, from origin) {
	was := Stored{m.ID, m.Seq, m.Prev, m.At}
	r.hub.counters.repeated.Add(1)
	from.repeated(m, was)
	r.answerRetries(m.ID, func(from origin, retry *Message) { from.repeated(retry, was) })
}

// refuse tells the sender, and the senders of retries that came meanwhile, that the journal
// did not take a message.
func (r *room) refuse(e Entry, from origin) {
	m := e.Message
	from.refused(m, e.Err)
	if m.Idempotent {
		r.answerRetries(m.ID, func(from origin, retry *Message) { from.refused(retry, e.Err) })
	}
}

// answerRetries calls answer for each retry of a message that has come back.
func (r *room) answerRetries(id ID, answer func(origin, *Message)) {
	for _, it := range r.retries[id] {
		it.await(-1)
		r.inbox.done(it.message.Size())
		answer(it.origin, it.message)
	}
	delete(r.retries, id)
}
