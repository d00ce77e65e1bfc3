package journal

import (
	"errors"
	"fmt"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
	"time"
)

// pagers is how many pages are read from the disk at once.
const pagers = 4

// Page implements hub.Journal. If all messages of the page are in memory, done is called before Page returns.
func (j *Journal) Page(name string, q hub.PageQuery, done func(hub.Page, error)) {
	j.mu.Lock()
	p, missing := j.find(name, q)
	if len(missing) > 0 {
		j.pages = append(j.pages, func() { done(j.read(name, q)) })
		j.more.Signal()
	}
	j.mu.Unlock()
	if len(missing) == 0 {
		done(p, nil)
	}
}

// A missing message is one that has to be read from the disk.
type missing struct {
	index int // in Page.Messages
	seq   uint64
	pos   seglog.Pos
}

// find makes the page of a query. The messages that are not in memory are nil in the page and listed in gaps. Called with mu held.
func (j *Journal) find(name string, q hub.PageQuery) (p hub.Page, gaps []missing) {
	p.Epoch = j.epoch
	r := j.rooms[name]
	if r == nil {
		p.Known = q.After == 0
		return p, nil
	}
	j.retention.Enforce(r.share, time.Now())
	p.Head, p.Floor = r.head, r.head
	if len(r.kept) > 0 {
		p.First, p.Floor = r.kept[0].seq, r.kept[0].prev
	}
	p.Known = q.After == p.Floor || r.keptAt(q.After) != nil
	for i, e := range r.find(q) {
		if e.message == nil {
			gaps = append(gaps, missing{i, e.seq, e.pos})
		}
		p.Messages = append(p.Messages, e.message)
	}
	return p, gaps
}

// readPages is the goroutine of a pager, which reads pages from the disk.
func (j *Journal) readPages() {
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
		read()
		j.mu.Lock()
	}
}

// read returns the page of a query, and reads missing messages from the disk. If one of them was moved or trimmed meanwhile, read makes
// the page again.
func (j *Journal) read(name string, q hub.PageQuery) (hub.Page, error) {
	for {
		j.mu.Lock()
		p, gaps := j.find(name, q)
		j.mu.Unlock()
		moved := false
		for _, gap := range gaps {
			m, err := j.readMessage(gap.pos, gap.seq)
			if errors.Is(err, seglog.ErrMoved) {
				moved = true
				break
			}
			if err != nil {
				err = fmt.Errorf("message %d of room %s: %w", gap.seq, name, explain(j.opts.Dir, err))
				j.report(err)
				return hub.Page{}, err
			}
			p.Messages[gap.index] = m
		}
		if moved {
			continue
		}
		j.mu.Lock()
		if r := j.rooms[name]; r != nil {
			for _, gap := range gaps {
				j.cache.add(r, p.Messages[gap.index])
			}
		}
		j.mu.Unlock()
		return p, nil
	}
}

// readMessage reads the message with a Seq from its place on the disk. It fails if another record is there.
func (j *Journal) readMessage(p seglog.Pos, seq uint64) (*hub.Message, error) {
	body, err := j.log.Read(p)
	if err != nil {
		return nil, err
	}
	rec, err := parseRecord(body)
	if err != nil || rec.kind != kindMessage || rec.seq != seq {
		return nil, fmt.Errorf("%w: another record stands there", seglog.ErrDamaged)
	}
	return rec.message, nil
}
