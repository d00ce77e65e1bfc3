package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/doyasa/doyasa/hub"
)

// pagers is how many pages are read from the store at once.
const pagers = 4

// How long the store is waited for, with a page and with a part of the scan at the start.
const (
	readTimeout = 10 * time.Second
	scanTimeout = time.Minute
)

// Page implements hub.Journal. What is in memory is answered at once.
func (j *Journal) Page(name string, q hub.PageQuery, done func(hub.Page, error)) {
	j.mu.Lock()
	p, missing := j.find(name, q)
	if len(missing) > 0 {
		j.pages = append(j.pages, func(pg *pager) { done(pg.page(name, q)) })
		j.more.Signal()
	}
	j.mu.Unlock()
	if len(missing) == 0 {
		done(p, nil)
	}
}

// find makes the page of a query, as far as it is in memory, and lists what is missing.
// Called with mu held.
func (j *Journal) find(name string, q hub.PageQuery) (p hub.Page, missing []entry) {
	r := j.index.rooms[name]
	if r == nil {
		return hub.Page{Position: hub.Position{Epoch: j.epoch}}, nil
	}
	j.index.enforce(r)
	p = hub.Page{Position: hub.Position{Head: r.head, Epoch: j.epoch}, Floor: r.shownFloor()}
	if r.hidden < len(r.kept) {
		p.First = r.kept[r.hidden].seq
	}
	found := r.find(q)
	for i := range found {
		if found[i].message == nil {
			missing = append(missing, found[i])
		}
		p.Messages = append(p.Messages, found[i].message)
	}
	return p, missing
}

// readPages is the goroutine of one pager.
func (j *Journal) readPages() {
	pg := &pager{journal: j, inbox: j.nc.NewInbox()}
	sub, err := j.nc.SubscribeSync(pg.inbox + ".*")
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
		defer sub.Unsubscribe()
	}
	pg.sub, pg.err = sub, err
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		for len(j.pages) == 0 {
			if j.ending {
				return
			}
			j.more.Wait()
		}
		read := j.pages[0]
		j.pages = j.pages[1:]
		j.mu.Unlock()
		read(pg)
		j.mu.Lock()
	}
}

// A pager reads messages by their Seq. It belongs to one goroutine.
type pager struct {
	journal *Journal
	inbox   string
	sub     *nats.Subscription
	err     error // of the subscription
	asked   int   // requests so far; the last part of each one's inbox
}

// page is find with what is missing read from the store.
func (pg *pager) page(name string, q hub.PageQuery) (hub.Page, error) {
	j := pg.journal
	for {
		j.mu.Lock()
		p, missing := j.find(name, q)
		j.mu.Unlock()
		if len(missing) == 0 {
			return p, nil
		}
		read, err := pg.read(name, missing)
		j.mu.Lock()
		r := j.index.rooms[name]
		trimmed := false // what could not be read, or will not be found by the next round
		for _, e := range missing {
			trimmed = trimmed || r == nil || r.at(e.seq) == nil
		}
		if !trimmed && err == nil {
			for _, m := range read {
				j.index.cache.add(r, m)
			}
		}
		j.mu.Unlock()
		switch {
		case trimmed: // meanwhile: what is the page now?
		case err != nil:
			return hub.Page{}, err
		default:
			for i, k := 0, 0; i < len(p.Messages); i++ {
				if p.Messages[i] == nil {
					p.Messages[i], k = read[k], k+1
				}
			}
			return p, nil
		}
	}
}

// read gets messages of a room, all requests at once. Each must be what the index says.
func (pg *pager) read(name string, entries []entry) ([]*hub.Message, error) {
	if pg.err != nil {
		return nil, pg.err
	}
	j := pg.journal
	first := pg.asked
	for _, e := range entries {
		request := fmt.Appendf(nil, `{"seq":%d}`, e.seq)
		if err := j.nc.PublishRequest(directGet(j.stream), pg.inbox+"."+strconv.Itoa(pg.asked), request); err != nil {
			return nil, err
		}
		pg.asked++
	}
	// Not NextMsg with a timeout: its timers are shared, which testing/synctest forbids.
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	read := make([]*hub.Message, len(entries))
	for n := 0; n < len(entries); {
		msg, err := pg.sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, j.store.explain(fmt.Errorf("the history of room %s cannot be read: %w", name, err))
		}
		i, err := strconv.Atoi(msg.Subject[strings.LastIndexByte(msg.Subject, '.')+1:])
		if i -= first; err != nil || i < 0 {
			continue // of a page that failed
		}
		e := entries[i]
		m, err := decode(msg, messageSubject(name))
		if err == nil && (m.Seq != e.seq || m.Prev != e.prev && m.Prev != 0) {
			err = errDamaged
		}
		if err != nil {
			return nil, j.store.explain(fmt.Errorf("message %d of room %s cannot be read: %w", e.seq, name, err))
		}
		m.Prev = e.prev
		read[i] = m
		n++
	}
	return read, nil
}

func directGet(stream string) string { return "$JS.API.DIRECT.GET." + stream }

// headerSeq and headerSubject are in every answer of a direct get, headerStatus and
// headerText in one that has no message.
const (
	headerSeq     = "Nats-Sequence"
	headerSubject = "Nats-Subject"
	headerStatus  = "Status"
	headerText    = "Description"
)

// decode makes a message of the answer to a direct get.
func decode(msg *nats.Msg, subject string) (*hub.Message, error) {
	if status := msg.Header.Get(headerStatus); status != "" {
		return nil, fmt.Errorf("%w: %s", errDamaged, strings.ToLower(msg.Header.Get(headerText)))
	}
	seq, err := strconv.ParseUint(msg.Header.Get(headerSeq), 10, 64)
	if err != nil || msg.Header.Get(headerSubject) != subject {
		return nil, errDamaged
	}
	room, err := roomOf(strings.TrimPrefix(subject, messagePrefix))
	if err != nil {
		return nil, err
	}
	m, _, err := parseMessage(room, msg.Data)
	if err != nil {
		return nil, err
	}
	m.Seq = seq
	return m, nil
}

// A raw message stands in the stream.
type raw struct {
	seq     uint64
	subject string
	data    []byte
}

var errEnd = errors.New("nothing behind it")

// scan reads the stream from a Seq on, in order, as much as comes in one answer of at
// most a few MiB. errEnd means that there is nothing more.
func (pg *pager) scan(from uint64) ([]raw, error) {
	if pg.err != nil {
		return nil, pg.err
	}
	const most, mostBytes = 4096, 4 << 20
	request, err := json.Marshal(map[string]any{"seq": from, "batch": most, "max_bytes": mostBytes})
	if err != nil {
		return nil, err
	}
	pg.asked++
	inbox := pg.inbox + "." + strconv.Itoa(pg.asked)
	if err := pg.journal.nc.PublishRequest(directGet(pg.journal.stream), inbox, request); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scanTimeout)
	defer cancel()
	var got []raw
	for {
		msg, err := pg.sub.NextMsgWithContext(ctx)
		if err != nil {
			return got, err
		}
		if msg.Subject != inbox {
			continue
		}
		switch msg.Header.Get(headerStatus) {
		case "":
			seq, err := strconv.ParseUint(msg.Header.Get(headerSeq), 10, 64)
			if err != nil {
				return got, errDamaged
			}
			got = append(got, raw{seq, msg.Header.Get(headerSubject), msg.Data})
		case "204": // the end of the answer
			return got, nil
		case "404":
			return got, errEnd
		default:
			return got, fmt.Errorf("%w: %s", errDamaged, msg.Header.Get(headerText))
		}
	}
}
