package journal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

// A stream that several processes share. Each appends, and each learns the order from the
// one consumer it has: what it appended itself comes back there among the others', known
// by a token. Messages that are not kept travel in the stream as well, which gives them
// the same place everywhere, and are removed after a while.

const (
	headerToken = "Doyasa-Token" // whose message it is, and which

	// sharedAck is how long a message may be without an answer before it is refused; it may
	// be stored all the same.
	sharedAck = 5 * time.Second
	// duplicates is how long the server knows an id. It is what keeps two processes from
	// storing one id at the same moment; what is older each knows by itself.
	duplicates = 15 * time.Minute
	// sharedLag is how far behind a process may be: what it has not had yet is not purged.
	sharedLag = time.Minute
)

// shared is what a journal has more when its stream is shared.
type shared struct {
	at      string              // its address, as it may be shown
	nonce   string              // of this process
	tokens  int                 // given; the writer's alone
	own     map[string]queued   // guarded by Journal.mu: appended and not come back, by token
	retries map[uint64][]queued // guarded by Journal.mu: stored before at a Seq that has not come yet
	applied uint64              // guarded by Journal.mu: the newest Seq that has come
	passing []passing           // guarded by Journal.mu: transient messages in the stream, oldest first
	gone    []gone              // the writer's alone, oldest first
	stop    func()              // ends the consumer
	closed  <-chan struct{}     // it has ended
}

// gone is what a trim of ours has made superfluous.
type gone struct {
	subject string
	upTo    uint64
	at      time.Time
}

type passing struct {
	seq uint64
	at  time.Time
}

// OpenShared uses the stream of a NATS server or cluster elsewhere, or makes it there.
// Limits must be the same in all processes that share it; Options.Dir and Sync mean
// nothing, the server has its own.
func OpenShared(address string, o Options) (_ *Journal, err error) {
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	s := &shared{at: Shown(address), nonce: rand.Text(), own: make(map[string]queued), retries: make(map[uint64][]queued)}
	j := &Journal{opts: o, store: s, shared: s, index: newIndex(o.Limits)}
	if j.nc, err = nats.Connect(address, nats.Name("doyasa"), nats.Timeout(10*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second), quiet); err != nil {
		return nil, s.explain(err)
	}
	defer func() {
		if err != nil {
			err = s.explain(err)
			j.nc.Close()
		}
	}()
	if j.js, err = jetstream.New(j.nc, jetstream.WithPublishAsyncMaxPending(2*batchMessages), jetstream.WithPublishAsyncTimeout(sharedAck)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	state, err := j.openStream(ctx, jetstream.StreamConfig{
		Name:        streamName,
		Subjects:    []string{messagePrefix + "*", trimPrefix + "*", passingPrefix + "*"},
		Storage:     jetstream.FileStorage,
		AllowDirect: true,
		Duplicates:  duplicates,
	})
	if err != nil {
		return nil, err
	}
	damaged, err := j.recover(state)
	if err == nil && len(damaged) > 0 {
		err = fmt.Errorf("%w: %w", errStoreDamaged, damaged[0])
	}
	if err != nil {
		return nil, err
	}
	s.applied = state.LastSeq
	consumer, err := j.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   state.LastSeq + 1,
	})
	if err != nil {
		return nil, err
	}
	consuming, err := consumer.Consume(j.arrived)
	if err != nil {
		return nil, err
	}
	s.stop, s.closed = consuming.Stop, consuming.Closed()
	j.start()
	return j, nil
}

// Shown is the address of a NATS server, or several with commas between them, without the
// passwords and tokens that may stand in it.
func Shown(address string) string {
	parts := strings.Split(address, ",")
	for i, part := range parts {
		u, err := url.Parse(part)
		if err != nil {
			return "(an address that cannot be read)"
		}
		u.User = nil
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}

// quiet keeps the client from writing to stderr: what fails is seen where it is done.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

// writeShared publishes a batch and waits until each message is stored. What is comes back
// by the consumer; what is not is refused here.
func (j *Journal) writeShared(batch []queued) {
	s := j.shared
	j.mu.Lock()
	full := j.queued > maxQueued
	j.mu.Unlock()
	var err error
	switch {
	case !j.nc.IsConnected():
		err = fmt.Errorf("%w: %w", hub.ErrUnavailable, s.explain(nats.ErrDisconnected))
	case full:
		err = hub.ErrBusy
	}
	if err != nil {
		for _, q := range batch {
			j.settle(q, err)
		}
		return
	}
	acks := make([]jetstream.PubAckFuture, len(batch))
	tokens := make([]string, len(batch))
	for i, q := range batch {
		s.tokens++
		tokens[i] = fmt.Sprint(s.nonce, s.tokens)
		m := q.message
		msg := nats.NewMsg(messageSubject(q.room.name))
		if m.Transient {
			msg.Subject = passingPrefix + subjectToken(q.room.name)
		}
		msg.Header.Set(headerToken, tokens[i])
		if m.Idempotent && !m.Transient {
			msg.Header.Set(jetstream.MsgIDHeader, subjectToken(q.room.name)+"/"+hex.EncodeToString(m.ID[:]))
		}
		msg.Data = appendMessage(nil, q.room.name, m, false)
		j.mu.Lock()
		s.own[tokens[i]] = q
		j.mu.Unlock()
		var err error
		if acks[i], err = j.js.PublishMsgAsync(msg); err != nil {
			j.giveUp(tokens[i], err)
		}
	}
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		select {
		case a := <-ack.Ok():
			if a.Duplicate {
				j.repeated(tokens[i], a.Sequence)
			}
		case err := <-ack.Err():
			j.giveUp(tokens[i], err)
		}
	}
}

// giveUp refuses a message of our own, unless it has come back already.
func (j *Journal) giveUp(token string, err error) {
	j.mu.Lock()
	q, open := j.shared.own[token]
	delete(j.shared.own, token)
	j.mu.Unlock()
	if open {
		j.settle(q, fmt.Errorf("%w: %w", hub.ErrUnavailable, j.store.explain(err)))
	}
}

// settle hands a refusal to the room.
func (j *Journal) settle(q queued, err error) {
	j.mu.Lock()
	deliver := q.room.deliver
	j.queued -= q.message.Size()
	j.mu.Unlock()
	j.hand(deliver, hub.Entry{Message: q.message, Err: err})
}

// hand calls deliver, one call at a time: the writer and the consumer both do.
func (j *Journal) hand(deliver func(hub.Entry), e hub.Entry) {
	if deliver == nil {
		return
	}
	j.delivering.Lock()
	defer j.delivering.Unlock()
	deliver(e)
}

// repeated answers a message whose id another process has stored at a Seq, once that has
// come here too.
func (j *Journal) repeated(token string, seq uint64) {
	j.mu.Lock()
	q, open := j.shared.own[token]
	delete(j.shared.own, token)
	if open && seq > j.shared.applied {
		j.shared.retries[seq] = append(j.shared.retries[seq], q)
		open = false
	}
	j.mu.Unlock()
	if open {
		j.answer(q, seq)
	}
}

func (j *Journal) answer(q queued, seq uint64) {
	j.mu.Lock()
	e := hub.Entry{Message: q.message, Repeated: true}
	q.message.Seq = seq
	for _, was := range q.room.recent() {
		if was.Seq == seq {
			q.message.Prev, q.message.At = was.Prev, was.At
		}
	}
	deliver := q.room.deliver
	j.queued -= q.message.Size()
	j.mu.Unlock()
	j.hand(deliver, e)
}

// trimShared stores a record for each room, unless another process was faster, and purges
// what it says is gone. The record comes back by the consumer like any other.
func (j *Journal) trimShared(due []*room) {
	for _, r := range due {
		j.mu.Lock()
		r.dirty = false
		if r.hidden == 0 {
			j.mu.Unlock()
			continue
		}
		plan, last := r.planTrim(), uint64(0)
		if len(r.trims) > 0 {
			last = r.trims[len(r.trims)-1].seq
		}
		j.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), sharedAck)
		_, err := j.js.Publish(ctx, trimSubject(r.name), appendTrim(nil, r.name, plan), jetstream.WithExpectLastSequencePerSubject(last))
		cancel()
		if err == nil {
			j.shared.gone = append(j.shared.gone, gone{messageSubject(r.name), plan.floor, time.Now()})
		}
	}
}

// cleanShared purges what every process has had by now: messages whose trim was stored a
// while ago, and those that are not kept.
func (j *Journal) cleanShared(now time.Time) {
	for s := j.shared; len(s.gone) > 0 && now.Sub(s.gone[0].at) > sharedLag; s.gone = s.gone[1:] {
		j.purge(s.gone[0].subject, s.gone[0].upTo)
	}
	upTo := uint64(0)
	j.mu.Lock()
	p := j.shared.passing
	for len(p) > 0 && now.Sub(p[0].at) > sharedLag {
		upTo, p = p[0].seq, p[1:]
	}
	j.shared.passing = p
	j.mu.Unlock()
	if upTo > 0 {
		j.purge(passingPrefix+"*", upTo)
	}
}

func (s *shared) sync() error          { return nil }
func (s *shared) faults() <-chan error { return nil }
func (s *shared) position() uint64     { return 0 }
func (s *shared) diskBytes() int64     { return 0 }

func (s *shared) close(uint64) error { return nil }

func (s *shared) explain(err error) error {
	if _, already := errors.AsType[*trouble](err); already || err == nil {
		return err
	}
	what := fmt.Sprintf("the history at %s: %v", s.at, err)
	switch {
	case errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrNoServers):
		what = fmt.Sprintf("the history at %s: no NATS server answers there; start it, or correct the address", s.at)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		what = fmt.Sprintf("the history at %s: JetStream is not enabled there; enable it", s.at)
	}
	return &trouble{what, cmp.Or(err, errors.New(what))}
}
