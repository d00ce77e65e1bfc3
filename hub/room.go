package hub

import (
	"sync"
	"time"
)

// A Room is one order of messages. Its hub goroutine, run, owns the order, the ends of
// the logs, the memory of ids and presence; everybody else puts items into the inbox.
type Room struct {
	// Immutable.
	hub   *Hub
	name  string
	inbox inbox
	stop  chan struct{} // ends run; the Hub closes it, once
	done  chan struct{} // run has ended; run closes it

	// Guarded by hub.mu.
	refs       int       // members, and publishers at work
	emptySince time.Time // when refs became 0

	// Owned by the hub goroutine.
	position Position // of the newest published message; no Epoch until the journal has opened the room
	logs     []*Log
	recent   recent
	presence presence
	inFlight map[*Message]origin // handed to the journal, not yet back
	retries  map[ID][]item       // a key for each idempotent message in flight, with the retries of it
	leavers  []*Member           // whose Leave has been read and Left is due
	flushes  []item              // to be answered once nothing is in flight

	// What the journal has delivered, on its way to the hub goroutine.
	committedMu sync.Mutex
	committed   []Entry // guarded by committedMu
	spare       []Entry // guarded by committedMu: the slice taken before last, for reuse
}

func newRoom(h *Hub, name string) *Room {
	return &Room{
		hub:      h,
		name:     name,
		inbox:    inbox{limit: h.opts.InboxBytes, ready: make(chan struct{}, 1)},
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		inFlight: make(map[*Message]origin),
		retries:  make(map[ID][]item),
	}
}

// run is the hub goroutine. Each pass takes all that has been put into the inbox,
// publishes all that has come back from the journal, and then wakes who watches the logs, once:
// the more there is to do, the less a message costs.
func (r *Room) run() {
	defer close(r.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stop := r.stop
	for stopping := false; ; {
		items := r.inbox.take()
		for _, it := range items {
			it.do(r, it)
		}
		clear(items) // for the collector; the slice is used again
		r.publish()
		r.finishLeaving()
		r.finishFlushes()
		r.tellPeople(timer)
		if stopping && len(r.inFlight) == 0 {
			return
		}
		select {
		case <-r.inbox.ready:
		case <-timer.C:
		case <-stop:
			stopping, stop = true, nil
		}
	}
}

// open opens the room in the journal, unless that is done. Who finds that it fails
// refuses what it was to do; the next in line tries again.
func (r *Room) open() error {
	if r.position.Epoch != "" {
		return nil
	}
	opened, err := r.hub.journal.Open(r.name, r.deliver)
	if err != nil {
		return err
	}
	r.position = opened.Position
	now := time.Now()
	for _, was := range opened.Recent {
		r.recent.add(was, now)
	}
	return nil
}

// deliver takes an entry from the journal, in whatever goroutine.
func (r *Room) deliver(e Entry) {
	r.committedMu.Lock()
	r.committed = append(r.committed, e)
	r.committedMu.Unlock()
	r.inbox.signal()
}

func (r *Room) say(it item) {
	m, from := it.message, it.origin
	if err := r.open(); err != nil {
		r.inbox.done(m.Size())
		from.refused(m, err)
		return
	}
	if m.Idempotent {
		if was, known := r.recent.find(m.ID); known {
			r.inbox.done(m.Size())
			r.hub.counters.repeated.Add(1)
			from.repeated(m, was)
			return
		}
		if retries, inFlight := r.retries[m.ID]; inFlight { // its outcome answers the retry as well
			from.await(+1)
			r.retries[m.ID] = append(retries, it)
			return
		}
		r.retries[m.ID] = nil
	}
	from.await(+1)
	now := time.Now()
	m.At = now.UnixMilli()
	from.since = now.Sub(r.hub.began)
	r.inFlight[m] = from
	r.hub.journal.Append(r.name, m)
}

// answerRetries calls answer for each retry of a message that has come back.
func (r *Room) answerRetries(id ID, answer func(origin, *Message)) {
	for _, it := range r.retries[id] {
		it.await(-1)
		r.inbox.done(it.message.Size())
		answer(it.origin, it.message)
	}
	delete(r.retries, id)
}

func (r *Room) flush(it item) {
	r.flushes = append(r.flushes, it)
}

// finishFlushes answers those who wait for everything to be published.
func (r *Room) finishFlushes() {
	if len(r.inFlight) > 0 {
		return
	}
	for _, it := range r.flushes {
		it.reply(nil, nil)
	}
	r.flushes = nil
}

// publish appends what has come back from the journal to the logs and wakes those who
// watch one that grew.
func (r *Room) publish() {
	r.committedMu.Lock()
	entries := r.committed
	r.committed, r.spare = r.spare[:0], entries
	r.committedMu.Unlock()
	if len(entries) == 0 {
		return
	}
	freed, messages, deliveries, newest := 0, 0, 0, time.Duration(0)
	for _, e := range entries {
		from, own := r.inFlight[e.Message]
		if own {
			delete(r.inFlight, e.Message)
			freed += e.Message.Size()
			from.await(-1)
		}
		if e.Err != nil {
			r.refuse(e, from)
			continue
		}
		if e.Repeated {
			if own {
				r.repeat(e.Message, from)
			}
			continue
		}
		deliveries += r.append(e.Message)
		messages++
		newest = from.since
		if from.reply != nil {
			from.reply(e.Message, nil)
		}
	}
	clear(entries)
	if newest == 0 { // another process has taken it up, by a clock of its own
		newest = r.hub.clock()
	}
	if r.name != probeRoom {
		r.hub.counters.published(messages, deliveries)
	}
	for _, l := range r.logs {
		if l.grown {
			l.grown = false
			l.newest.Store(int64(newest))
			l.watchers.wake()
		}
	}
	r.inbox.done(freed)
}

// append puts one message at the end of every log that shows it, and returns how many
// members those have.
func (r *Room) append(m *Message) (members int) {
	if !m.Transient {
		r.position.Head = m.Seq
	}
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
		was := r.recent.add(Stored{m.ID, m.Seq, m.Prev, m.At}, time.Now())
		r.answerRetries(m.ID, func(from origin, retry *Message) {
			r.hub.counters.repeated.Add(1)
			from.repeated(retry, was)
		})
	}
	return members
}

// repeat answers the sender of a message that another process has had stored before, and
// those who retried meanwhile.
func (r *Room) repeat(m *Message, from origin) {
	was := Stored{m.ID, m.Seq, m.Prev, m.At}
	r.hub.counters.repeated.Add(1)
	from.repeated(m, was)
	r.answerRetries(m.ID, func(from origin, retry *Message) { from.repeated(retry, was) })
}

// refuse tells the sender, and those who retried meanwhile, that the journal did not
// take a message.
func (r *Room) refuse(e Entry, from origin) {
	m := e.Message
	from.refused(m, e.Err)
	if m.Idempotent {
		r.answerRetries(m.ID, func(from origin, retry *Message) { from.refused(retry, e.Err) })
	}
}
