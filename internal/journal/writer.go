package journal

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/doyasa/doyasa/hub"
)

const (
	// The largest batch, in messages and in bytes. A batch is stored with one sync.
	batchMessages = 1024
	batchBytes    = 4 << 20
	// trimAfter is how many messages and ids must have left the state of a room before a trim is stored for them. trimsPerBatch is the
	// largest number of trims that are stored with one batch.
	trimAfter     = 64
	trimsPerBatch = 64
	// janitorEvery is the time between two calls of clean, which applies limits to rooms without new messages as well.
	janitorEvery = 30 * time.Second
	// tryEvery is the shortest time between two trials of a disk that has failed, when nothing but health checks asks for them.
	// triedBytes is the largest size of such a trial.
	tryEvery   = time.Second
	triedBytes = 64 << 10
)

// write is the writer goroutine. Only this goroutine appends to the log and delivers messages. While it waits for the disk, new messages
// are queued for the next batch. So the more messages there are, the less each of them costs.
func (j *Journal) write() {
	janitor := time.NewTicker(janitorEvery)
	defer janitor.Stop()
	stop := j.stop
	for stopping := false; ; {
		for batch := j.take(); len(batch) > 0; batch = j.take() {
			j.writeBatch(batch)
		}
		if stopping {
			j.clean(math.MaxInt)
			return
		}
		select {
		case <-j.work:
		case <-janitor.C:
			j.clean(trimsPerBatch)
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
	for n < len(j.queue) && n < batchMessages && (n == 0 || bytes+j.queue[n].message.Size() <= batchBytes) {
		bytes += j.queue[n].message.Size()
		n++
	}
	batch := j.queue[:n:n]
	if j.queue = j.queue[n:]; len(j.queue) == 0 {
		j.queue = nil
	}
	return batch
}

// writeBatch stores a batch and delivers it.
func (j *Journal) writeBatch(batch []queued) {
	records, err := j.number(batch)
	if err == nil {
		err = j.commit(records)
	}
	bytes := 0
	for _, q := range batch {
		bytes += q.message.Size()
		e := hub.Entry{Message: q.message}
		if err != nil {
			e.Err, q.message.Seq, q.message.Prev = err, 0, 0
		}
		j.mu.Lock()
		deliver := q.room.deliver
		j.mu.Unlock()
		if deliver != nil {
			deliver(e)
		}
	}
	j.mu.Lock()
	j.queued -= bytes
	j.mu.Unlock()
}

// number gives the messages of a batch their numbers. It returns the records that must be stored: those of the messages, and the trims
// that are due.
func (j *Journal) number(batch []queued) ([]record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.queued > maxQueued {
		return nil, hub.ErrBusy
	}
	now := time.Now()
	var records []record
	for _, q := range batch {
		q.room.tail = q.room.head
	}
	for _, q := range batch {
		if m := q.message; !m.Transient {
			m.Seq, m.Prev = j.nextSeq(now), q.room.tail
			q.room.tail = m.Seq
			records = append(records, record{kind: kindMessage, seq: m.Seq, room: q.room.name, message: m})
		}
	}
	if len(records) == 0 && j.failed != nil {
		if now.Sub(j.tried) < tryEvery {
			return nil, j.failed
		}
		return []record{j.trial(now)}, nil
	}
	if len(records) > 0 {
		records = append(records, j.trims(now, trimsPerBatch)...)
	}
	return records, nil
}

// trial returns a record as large as the batch that failed. A full disk may still have space for a small record, so only a record of this
// size shows that the disk works again. Called with mu held.
func (j *Journal) trial(now time.Time) record {
	return record{kind: kindBase, seq: j.nextSeq(now), epoch: j.epoch, padding: j.wanted}
}

// trims returns trim records for some of the rooms in due. Called with mu held.
func (j *Journal) trims(now time.Time, most int) (records []record) {
	for r := range j.due {
		if len(records) == most {
			break
		}
		delete(j.due, r)
		records = append(records, r.nextTrim(j.nextSeq(now)))
	}
	return records
}

// nextSeq returns the next number. It is a time in microseconds, or one more than the last number if the clock stands still or goes back.
// So no number is given twice, even after the end of the store was lost or an old copy was put back. Called with mu held.
func (j *Journal) nextSeq(now time.Time) uint64 {
	j.last = max(j.last+1, uint64(max(0, now.UnixMicro())))
	return j.last
}

// commit stores records and applies them. If it fails, nothing is applied, and the next commit tries again.
func (j *Journal) commit(records []record) error {
	if len(records) == 0 {
		return nil
	}
	bodies, bytes := make([][]byte, len(records)), 0
	for i, rec := range records {
		bodies[i] = appendRecord(nil, rec)
		bytes += len(bodies[i])
	}
	positions, err := j.log.Commit(bodies)
	j.tried = time.Now()
	if err != nil {
		j.wanted = min(bytes, triedBytes)
		return j.fail(err)
	}
	j.mu.Lock()
	isMended := j.failed != nil && bytes >= j.wanted
	if isMended {
		j.failed = nil
	}
	for i, rec := range records {
		j.apply(rec, positions[i])
		if rec.kind == kindMessage {
			r := j.rooms[rec.room]
			j.cache.add(r, rec.message)
			j.retention.Enforce(r.share, j.tried)
			r.forgetOld(j.tried)
		}
	}
	if j.known > hub.RecentTotal+hub.RecentTotal/8 {
		j.forgetTooMany()
	}
	j.mu.Unlock()
	if isMended && j.opts.Mended != nil {
		j.opts.Mended()
	}
	signal(j.dead)
	return nil
}

// fail remembers why nothing can be stored, and reports it if nothing has failed before.
func (j *Journal) fail(err error) error {
	err = fmt.Errorf("%w: %w", hub.ErrUnavailable, explain(j.opts.Dir, err))
	j.mu.Lock()
	isFirst := j.failed == nil
	j.failed = err
	j.mu.Unlock()
	if isFirst {
		j.report(err)
	}
	return err
}

// clean tries the disk again if it has failed. It drops messages that are too old and ids that need not be remembered, and stores trims
// for them. Between these it stores new messages, so that they do not wait for the trims of all rooms. One commit stores at most atOnce
// trims.
func (j *Journal) clean(atOnce int) {
	j.mu.Lock()
	now := time.Now()
	for _, r := range j.rooms {
		j.retention.Enforce(r.share, now)
		r.forgetOld(now)
		if r.pending > 0 {
			j.due[r] = struct{}{}
		}
	}
	j.forgetTooMany()
	var records []record
	if j.failed != nil {
		records = append(records, j.trial(now))
	}
	j.mu.Unlock()
	for j.commit(records) == nil {
		j.mu.Lock()
		records = j.trims(time.Now(), atOnce)
		j.mu.Unlock()
		if len(records) == 0 {
			return
		}
		for batch := j.take(); len(batch) > 0; batch = j.take() {
			j.writeBatch(batch)
		}
	}
}

// forgetTooMany forgets the oldest ids in gone until all rooms together have at most hub.RecentTotal. Called with mu held.
func (j *Journal) forgetTooMany() {
	if j.known <= hub.RecentTotal {
		return
	}
	seqs := make([]uint64, 0, j.known)
	for _, r := range j.rooms {
		for i := range r.gone {
			seqs = append(seqs, r.gone[i].seq)
		}
	}
	slices.Sort(seqs)
	last := seqs[len(seqs)-hub.RecentTotal-1]
	for _, r := range j.rooms {
		r.forgetUpTo(last)
	}
}
