package journal

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

// What comes in a shared stream, by the one consumer of this process.

// arrived takes what comes next in the stream. It runs in the consumer's goroutine.
func (j *Journal) arrived(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	s, seq := j.shared, meta.Sequence.Stream
	rec := raw{seq, msg.Subject(), msg.Data()}
	var entry hub.Entry
	var deliver func(hub.Entry)
	j.mu.Lock()
	if seq > s.applied { // a consumer made anew may begin with what is known
		s.applied = seq
		entry, deliver, err = j.apply(rec, msg.Headers().Get(headerToken))
	}
	retries := s.retries[seq]
	delete(s.retries, seq)
	j.mu.Unlock()
	if err != nil && j.opts.Report != nil {
		j.opts.Report(s.explain(&damage{seq, "", err}))
	}
	j.hand(deliver, entry)
	for _, q := range retries {
		j.answer(q, seq)
	}
}

// apply brings the index to where a record of the stream is. Called with mu held.
func (j *Journal) apply(rec raw, token string) (e hub.Entry, deliver func(hub.Entry), err error) {
	prefix := rec.subject[:min(len(messagePrefix), len(rec.subject))]
	name, err := roomOf(strings.TrimPrefix(rec.subject, prefix))
	if err != nil {
		return e, nil, err
	}
	r := j.index.room(name)
	if prefix == trimPrefix {
		t, err := parseTrim(name, rec.data)
		if err == nil {
			j.index.applyTrim(r, rec.seq, t)
		}
		return e, nil, err
	}
	m, _, err := parseMessage(name, rec.data)
	if err != nil {
		return e, nil, err
	}
	if q, own := j.shared.own[token]; own {
		delete(j.shared.own, token)
		j.queued -= q.message.Size()
		m = q.message
	}
	if prefix == passingPrefix {
		m.Transient = true
		j.shared.passing = append(j.shared.passing, passing{rec.seq, time.Now()})
	} else {
		m.Seq, m.Prev = rec.seq, r.head
		j.index.add(r, m, true)
		j.index.enforce(r)
		if j.index.worthTrimming(r) {
			j.index.pushed[r] = struct{}{}
			select {
			case j.work <- struct{}{}:
			default:
			}
		}
	}
	return hub.Entry{Message: m}, r.deliver, nil
}
