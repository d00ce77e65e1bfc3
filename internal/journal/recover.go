package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

const (
	metaLayout = "doyasa-layout"
	metaEpoch  = "doyasa-epoch"
)

// openStream finds the stream, or makes it, and returns its state. The epoch and the
// layout stand in its metadata.
func (j *Journal) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.StreamState, error) {
	s, err := j.js.Stream(ctx, config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config.Metadata = map[string]string{metaLayout: strconv.Itoa(layout), metaEpoch: j.opts.NewEpoch()}
		s, err = j.js.CreateStream(ctx, config)
	}
	if err != nil {
		return jetstream.StreamState{}, err
	}
	info := s.CachedInfo()
	meta := info.Config.Metadata
	if v := meta[metaLayout]; v != strconv.Itoa(layout) {
		return jetstream.StreamState{}, fmt.Errorf("the history is of layout %q, and this version of doyasa knows layout %d: "+
			"run the version that wrote it, or doyasa export with that one and doyasa import with this one", v, layout)
	}
	if j.epoch = meta[metaEpoch]; j.epoch == "" {
		return jetstream.StreamState{}, errors.New("the history has no epoch in its metadata: it was not made by doyasa")
	}
	j.stream = config.Name
	return info.State, nil
}

// A damage is something in the stream that is not what was stored there.
type damage struct {
	seq  uint64
	room string // "" if that is what cannot be read
	err  error
}

func (d *damage) Error() string {
	of := ""
	if d.room != "" {
		of = " of room " + d.room
	}
	return fmt.Sprintf("message %d%s: %v", d.seq, of, d.err)
}

// errHole: the message before one is neither there nor trimmed.
var errHole = errors.New("what stood before it is missing")

// recover reads the stream once, from one end to the other, and makes the index of it.
// It returns what is damaged: each record has its own sum and says which one of its room
// is before it, and together they account for every number that the stream has given.
// Only what an ill-timed power cut took from the very end leaves no trace.
func (j *Journal) recover(state jetstream.StreamState) ([]*damage, error) {
	j.next = state.LastSeq + 1
	sub, err := j.nc.SubscribeSync(j.nc.NewInbox() + ".*")
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	pg := &pager{journal: j, inbox: strings.TrimSuffix(sub.Subject, ".*"), sub: sub}
	var damaged []*damage
	holes := make(map[*room][]hole)
	count, last := uint64(0), uint64(0)
	for from := max(state.FirstSeq, 1); from <= state.LastSeq; {
		got, err := pg.scan(from)
		for _, rec := range got {
			if from = rec.seq + 1; rec.seq > state.LastSeq {
				break // another process has appended it meanwhile, and it comes by the consumer
			}
			count, last = count+1, rec.seq
			if d := j.recoverRecord(rec, holes); d != nil {
				damaged = append(damaged, d)
			}
		}
		if errors.Is(err, errEnd) || err == nil && len(got) == 0 {
			break
		}
		if err != nil {
			return damaged, fmt.Errorf("from message %d on: %w", from, err)
		}
	}
	if count < state.Msgs && j.shared == nil { // others may purge meanwhile
		damaged = append(damaged, &damage{seq: state.LastSeq, err: fmt.Errorf("%d of %d messages up to it cannot be read", state.Msgs-count, state.Msgs)})
	}
	for r, found := range holes {
		for _, h := range found {
			if h.seq > r.floor && h.prev != r.floor {
				damaged = append(damaged, &damage{h.seq, r.name, errHole})
			}
		}
	}
	numbers := uint64(0)
	for _, r := range j.index.rooms {
		j.index.enforce(r)
		numbers += uint64(len(r.kept)) + r.last.messages + r.last.records
	}
	if len(damaged) == 0 && numbers != last && j.shared == nil { // what passes through a shared stream is not counted
		damaged = append(damaged, &damage{seq: last, err: fmt.Errorf("of all up to it %d are missing", last-numbers)})
	}
	if must := j.store.position(); must > last {
		damaged = append(damaged, &damage{seq: must, err: fmt.Errorf("the store ends at %d: what stood behind it is gone", last)})
	}
	if j.shared == nil {
		j.lost = state.LastSeq - last
	}
	return damaged, nil
}

// A hole stands in front of a message whose prev is not what was read before it. That is
// fine at the floor of a room, which is known only in the end.
type hole struct{ seq, prev uint64 }

func (j *Journal) recoverRecord(rec raw, holes map[*room][]hole) *damage {
	if strings.HasPrefix(rec.subject, passingPrefix) {
		j.shared.passing = append(j.shared.passing, passing{rec.seq, time.Now()})
		return nil
	}
	token, isTrim := strings.CutPrefix(rec.subject, trimPrefix)
	if !isTrim {
		token = strings.TrimPrefix(rec.subject, messagePrefix)
	}
	name, err := roomOf(token)
	if err != nil {
		return &damage{rec.seq, "", err}
	}
	if isTrim {
		t, err := parseTrim(name, rec.data)
		if err != nil {
			return &damage{rec.seq, name, err}
		}
		j.index.applyTrim(j.index.room(name), rec.seq, t)
		return nil
	}
	m, chained, err := parseMessage(name, rec.data)
	if err != nil {
		return &damage{rec.seq, name, err}
	}
	r := j.index.room(name)
	m.Seq = rec.seq
	if !chained {
		m.Prev = r.head
	}
	if m.Prev != r.head {
		holes[r] = append(holes[r], hole{m.Seq, m.Prev})
	}
	j.index.add(r, m, true)
	return nil
}

var _ hub.Journal = (*Journal)(nil)
