package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

const (
	// A batch is published without waiting in between, and synced once.
	batchMessages = 1024
	batchBytes    = 4 << 20
	// ackTimeout is how long a store that says nothing is waited for; ackGrace how long
	// one that has reported a fault.
	ackTimeout = 30 * time.Second
	ackGrace   = time.Second
	// trimAtOnce is how many rooms the janitor trims before it looks at what has been said.
	trimAtOnce = 64
	// janitorEvery is how often rooms are looked at in which nothing is said.
	janitorEvery = 30 * time.Second
)

var errOrder = errors.New("the store gave another position than was due: something else writes to it")

// errTooLarge refuses one message, and is no failure of the store.
var errTooLarge = errors.New("the message is larger than the store takes")

func (j *Journal) tooLarge(m *hub.Message) bool {
	return int64(len(m.Payload)+len(m.From.ID)+len(m.From.Name)+recordOverhead) > j.nc.MaxPayload()
}

// write is the writer goroutine: it alone appends to the stream, and it alone delivers.
// While it waits for the disk the next batch gathers, so the more there is to do, the
// less a message costs.
func (j *Journal) write() {
	janitor := time.NewTicker(janitorEvery)
	defer janitor.Stop()
	stop := j.stop
	j.accountLost()
	for stopping := false; ; {
		for j.writeBatch(j.take()) {
		}
		if stopping {
			return
		}
		select {
		case <-j.work:
		case <-janitor.C:
			j.clean()
		case <-stop:
			stopping, stop = true, nil
		}
	}
}

// take returns the next batch.
func (j *Journal) take() []queued {
	j.mu.Lock()
	defer j.mu.Unlock()
	n, bytes := 0, 0
	for n < len(j.queue) && n < batchMessages && bytes < batchBytes {
		if j.tooLarge(j.queue[n].message) {
			n = max(n, 1) // by itself
			break
		}
		bytes += j.queue[n].message.Size()
		n++
	}
	batch := j.queue[:n:n]
	if j.queue = j.queue[n:]; len(j.queue) == 0 {
		j.queue = nil
	}
	return batch
}

// writeBatch stores a batch and delivers it. It reports whether there was one.
func (j *Journal) writeBatch(batch []queued) bool {
	if j.shared != nil {
		j.writeShared(batch)
		j.trimRooms(batch)
		return len(batch) > 0
	}
	if len(batch) == 0 {
		return false
	}
	err := j.storeBatch(batch)
	bytes := 0
	j.mu.Lock()
	for _, q := range batch {
		bytes += q.message.Size()
		if err == nil && !q.message.Transient {
			j.index.add(q.room, q.message, true)
			j.index.enforce(q.room)
		}
	}
	j.mu.Unlock()
	for _, q := range batch {
		e := hub.Entry{Message: q.message}
		if err != nil {
			e.Err, q.message.Seq, q.message.Prev = err, 0, 0
		}
		j.deliver(q.room, e)
	}
	j.mu.Lock()
	j.queued -= bytes
	j.mu.Unlock()
	if err == nil {
		j.trimRooms(batch)
	}
	return true
}

func (j *Journal) deliver(r *room, e hub.Entry) {
	j.mu.Lock()
	deliver := r.deliver
	j.mu.Unlock()
	if deliver != nil {
		deliver(e)
	}
}

// storeBatch gives each message its place and returns when all are stored. After an
// error it is unknown which were.
func (j *Journal) storeBatch(batch []queued) error {
	j.mu.Lock()
	failed, full := j.failed, j.queued > maxQueued
	for _, q := range batch {
		q.room.tail = q.room.head
	}
	j.mu.Unlock()
	if failed != nil {
		return failed
	}
	switch {
	case full:
		return hub.ErrBusy
	case j.tooLarge(batch[0].message):
		return errTooLarge
	}
	records := make([]record, 0, len(batch))
	for _, q := range batch {
		m, r := q.message, q.room
		if m.Transient {
			continue
		}
		m.Seq, m.Prev = j.next+uint64(len(records)), r.tail
		r.tail = m.Seq
		records = append(records, record{messageSubject(r.name), appendMessage(nil, r.name, m, true)})
	}
	return j.append(records)
}

// A record is what one message of the stream is.
type record struct {
	subject string
	data    []byte
}

// append puts records at the end of the stream. When it returns nil they have the
// numbers from next on and, if that is what acknowledged means, are on disk.
func (j *Journal) append(records []record) error {
	if len(records) == 0 {
		return nil
	}
	acks := make([]jetstream.PubAckFuture, 0, len(records))
	for _, rec := range records {
		ack, err := j.js.PublishAsync(rec.subject, rec.data)
		if err != nil {
			return j.fail(err)
		}
		acks = append(acks, ack)
	}
	timeout := time.NewTimer(ackTimeout)
	defer timeout.Stop()
	var fault error
	for i := 0; i < len(acks); {
		select {
		case ack := <-acks[i].Ok():
			if ack.Sequence != j.next+uint64(i) {
				return j.fail(errOrder)
			}
			i++
		case err := <-acks[i].Err():
			return j.fail(err)
		case fault = <-j.store.faults():
			timeout.Reset(ackGrace)
		case <-timeout.C:
			if fault == nil {
				fault = fmt.Errorf("no answer within %s", ackTimeout)
			}
			return j.fail(fault)
		}
	}
	if j.opts.Sync == 0 {
		if err := j.store.sync(); err != nil {
			return j.fail(err)
		}
	}
	j.next += uint64(len(records))
	return nil
}

// trimRooms takes from the disk what has been hidden, in the rooms of a batch and in
// those that a full disk's worth of others pushed.
func (j *Journal) trimRooms(batch []queued) {
	j.mu.Lock()
	var due []*room
	for _, q := range batch {
		if !q.room.dirty && j.index.worthTrimming(q.room) {
			q.room.dirty = true
			due = append(due, q.room)
		}
	}
	for r := range j.index.pushed {
		if !r.dirty && j.index.worthTrimming(r) {
			r.dirty = true
			due = append(due, r)
		}
	}
	clear(j.index.pushed)
	j.mu.Unlock()
	j.trim(due)
}

// accountLost stores that numbers have been given to messages that a power cut took
// before they were on disk, which the server may remember.
func (j *Journal) accountLost() {
	if j.lost == 0 {
		return
	}
	j.mu.Lock()
	r := j.index.room(lostRoom)
	t := trim{floor: j.next - 1, messages: r.last.messages + j.lost, records: r.last.records + 1}
	j.mu.Unlock()
	seq := j.next
	if j.append([]record{{trimSubject(r.name), appendTrim(nil, r.name, t)}}) == nil {
		j.mu.Lock()
		j.index.applyTrim(r, seq, t)
		j.mu.Unlock()
	}
}

// lostRoom is no room: its trims stand for what was lost.
const lostRoom = "\x00lost"

// clean takes from the disk what has grown too old, and forgets ids that need not be
// known any longer.
func (j *Journal) clean() {
	j.mu.Lock()
	var due []*room
	type purge struct {
		subject string
		upTo    uint64
	}
	var purges []purge
	for _, r := range j.index.rooms {
		j.index.enforce(r)
		if r.hidden > 0 {
			r.dirty = true
			due = append(due, r)
		}
		if upTo := r.forget(time.Now()); upTo > 0 {
			purges = append(purges, purge{trimSubject(r.name), upTo})
		}
	}
	failed := j.failed != nil
	j.mu.Unlock()
	if failed {
		return
	}
	for some := range slices.Chunk(due, trimAtOnce) {
		j.trim(some)
		for j.writeBatch(j.take()) { // nobody waits for all the rooms there are
		}
	}
	if j.shared != nil {
		j.cleanShared(time.Now())
	}
	for _, p := range purges {
		j.purge(p.subject, p.upTo)
		for j.writeBatch(j.take()) {
		}
	}
}

// trim stores a record for each room and then purges what it says is gone.
func (j *Journal) trim(due []*room) {
	if len(due) == 0 {
		return
	}
	if j.shared != nil {
		j.trimShared(due)
		return
	}
	j.mu.Lock()
	if j.failed != nil {
		j.mu.Unlock()
		return
	}
	records := make([]record, len(due))
	plans := make([]trim, len(due))
	for i, r := range due {
		r.dirty = false
		plans[i] = r.planTrim()
		records[i] = record{trimSubject(r.name), appendTrim(nil, r.name, plans[i])}
	}
	j.mu.Unlock()
	first := j.next
	if j.append(records) != nil {
		return // the messages stay, hidden
	}
	if j.opts.Sync > 0 { // else append has done it; a purge must not reach the disk before what accounts for it
		if err := j.store.sync(); err != nil {
			j.fail(err)
			return
		}
	}
	j.mu.Lock()
	for i, r := range due {
		j.index.applyTrim(r, first+uint64(i), plans[i])
	}
	j.mu.Unlock()
	for i, r := range due {
		j.purge(messageSubject(r.name), plans[i].floor)
	}
}

// purge removes what stands under a subject up to a Seq. If it fails, what is left is
// still hidden, and goes with the next purge.
func (j *Journal) purge(subject string, upTo uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), ackTimeout)
	defer cancel()
	s, err := j.js.Stream(ctx, j.stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(upTo+1))
	}
	if err != nil && j.opts.Report != nil {
		j.opts.Report(fmt.Errorf("old messages could not be removed: %w", j.store.explain(err)))
	}
}
