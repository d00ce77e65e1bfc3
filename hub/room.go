package hub

import (
	"sync"
	"time"
)

// A room is one order of messages. Its hub goroutine, run, owns the order, the ends of the
// logs, the remembered ids and presence. Other goroutines put items into the inbox.
type room struct {
	// Immutable.
	hub     *Hub
	name    string
	inbox   inbox
	follows [2]chan struct{} // room.retired of the rooms that the journal must close before it opens this one; nil entries are unused
	stop    chan struct{}    // says that run must publish what is left and end; the Hub closes it when the hub is closed or the room is retired
	done    chan struct{}    // says that run has ended after stop; run closes it

	// Guarded by hub.mu.
	refs       int           // how many members and calls of Publish and Flush use the room
	emptySince time.Time     // when refs became 0
	running    bool          // the room has a goroutine
	retired    chan struct{} // nil while the room is in the hub; says that the journal has closed the room; Hub.forget closes it

	// Owned by the hub goroutine.
	position Position // of the newest published message; no Epoch until the journal has opened the room
	logs     []*Log
	recent   recent
	presence presence
	inFlight map[*Message]origin // messages that the journal has and that have not come back yet
	retries  map[ID][]item       // for each idempotent message in flight, the retries of it that came meanwhile
	leavers  []*Member           // members that have called Leave and have not got the notice Left yet
	flushes  []item              // calls of Hub.Flush, which are answered when nothing is in flight
	worked   time.Time           // when there was last something to do

	// Guarded by committedMu. The journal delivers entries, and the hub goroutine takes them.
	committedMu sync.Mutex
	committed   []Entry
	spare       []Entry // the slice that publish took before the last one, for reuse
	asleep      bool    // the goroutine has ended, so deliver must start it again
}

func newRoom(h *Hub, name string) *room {
	return &room{
		hub:    h,
		name:   name,
		inbox:  inbox{limit: h.opts.InboxBytes, ready: make(chan struct{}, 1)},
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		recent: recent{all: &h.recents},
	}
}

// run is the hub goroutine. It ends when the room is stopped, or has not been used for
// idleAfter. Each pass takes all items from the inbox, publishes all messages that have come
// back from the journal, and then wakes the watchers of the logs once. So the more messages a
// pass has, the less each of them costs.
func (r *room) run() {
	r.begin()
	timer := time.NewTimer(idleAfter)
	defer timer.Stop()
	alarm := r.worked.Add(idleAfter) // when timer fires; zero if it has fired
	for stop := r.stop; ; {
		items := r.inbox.take()
		for _, it := range items {
			it.do(r, it)
		}
		busy := len(items) > 0
		clear(items) // the slice is used again, and must not keep messages in memory until then
		busy = r.publish() || busy
		r.finishLeaving()
		r.finishFlushes()

		now := time.Now()
		if busy {
			r.worked = now
		}
		r.tellPeople(now)
		if stop == nil && len(r.inFlight) == 0 {
			r.end()
			return
		}
		if r.idle(now) {
			rests, ends := r.hub.rest(r)
			if ends {
				r.hub.forget(r)
			}
			if rests { // the room may have a new goroutine already, so do not touch it
				return
			}
		}
		if due := r.due(now); !due.IsZero() && (alarm.IsZero() || due.Before(alarm)) {
			alarm = due
			timer.Reset(due.Sub(now))
		}
		select {
		case <-r.inbox.ready:
		case <-timer.C:
			alarm = time.Time{}
		case <-stop:
			stop = nil
		}
	}
}

// begin prepares the room for run. It waits until the journal has closed the rooms in
// follows, and makes again what sleep has released.
func (r *room) begin() {
	for i, before := range r.follows {
		if before != nil {
			<-before
			r.follows[i] = nil
		}
	}
	r.committedMu.Lock()
	r.asleep = false
	r.committedMu.Unlock()
	if r.inFlight == nil {
		r.inFlight, r.retries = make(map[*Message]origin), make(map[ID][]item)
	}
	r.worked = time.Now()
}

// end ends a stopped room. If the room was retired, end also closes it in the journal.
func (r *room) end() {
	close(r.done)
	r.hub.mu.Lock()
	retired := r.retired != nil
	r.hub.mu.Unlock()
	if retired {
		r.hub.forget(r)
	}
}

// empty tells whether the room has neither members nor people in presence.
func (r *room) empty() bool { return len(r.logs) == 0 && r.presence.due().IsZero() }

// idle tells whether the goroutine has had nothing to do for idleAfter. It may then end, if
// Hub.rest finds that nobody uses the room.
func (r *room) idle(now time.Time) bool {
	if !r.empty() || now.Sub(r.worked) < idleAfter {
		return false
	}
	r.worked = now // if somebody does use the room, ask again after idleAfter
	return true
}

// due returns when the goroutine must next do something even if nothing comes.
func (r *room) due(now time.Time) time.Time {
	if r.empty() {
		return r.worked.Add(idleAfter)
	}
	return r.presence.due()
}

// sleep prepares the room for the end of its goroutine: deliver will start the goroutine
// again, and maps and slices are released. If there is an entry or an item already, sleep
// returns false, and the goroutine must go on. Called with hub.mu held.
func (r *room) sleep() bool {
	r.committedMu.Lock()
	defer r.committedMu.Unlock()
	if len(r.committed) > 0 || len(r.inFlight) > 0 || !r.inbox.rest() {
		return false
	}
	r.asleep = true
	r.committed, r.spare = nil, nil
	r.inFlight, r.retries, r.leavers = nil, nil, nil
	return true
}

// unused tells whether nothing was ever stored in the room.
func (r *room) unused() bool { return r.position.Head == 0 && r.recent.empty() }

// open opens the room in the journal, unless it is open. If opening fails, the current request
// is refused, and the next one tries again.
func (r *room) open() error {
	if r.position.Epoch != "" {
		return nil
	}
	opened, err := r.hub.journal.Open(r.name, r.deliver)
	if err != nil {
		return err
	}
	r.position = opened.Position
	for _, was := range opened.Recent {
		r.recent.add(was)
	}
	r.recent.forget(time.Now())
	return nil
}

// deliver takes an entry from the journal. Any goroutine may call it.
func (r *room) deliver(e Entry) {
	r.committedMu.Lock()
	r.committed = append(r.committed, e)
	asleep := r.asleep
	r.committedMu.Unlock()
	r.inbox.signal()
	if asleep {
		r.hub.wake(r)
	}
}

// say hands a message to the journal, unless its id is known.
func (r *room) say(it item) {
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
		if retries, inFlight := r.retries[m.ID]; inFlight { // this retry gets the outcome of the first message
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

func (r *room) flush(it item) {
	r.flushes = append(r.flushes, it)
}

// finishFlushes answers the calls of Hub.Flush once everything is published.
func (r *room) finishFlushes() {
	if len(r.inFlight) > 0 {
		return
	}
	for _, it := range r.flushes {
		it.reply(nil, nil)
	}
	r.flushes = nil
}
