package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/doyasa/doyasa/hub"
)

// A line is one message of an export.
type line struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Prev uint64 `json:"prev"`
	ID   string `json:"id,omitempty"`
	// Retry: the id was the sender's, who may say the same again under it.
	Retry bool     `json:"retry,omitempty"`
	From  lineFrom `json:"from"`
	Text  string   `json:"text"`
	At    int64    `json:"at"` // Unix milliseconds
}

type lineFrom struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Export writes what the store in o.Dir shows as JSON Lines, in the one order of all
// rooms, and returns how many lines. A damaged store is refused, unless with salvage:
// then what is readable is written, and what is not is the error.
func Export(o Options, w io.Writer, salvage bool) (n int, err error) {
	if _, err := os.Stat(filepath.Join(o.Dir, server.JetStreamStoreDir)); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no history in %s", o.Dir)
	}
	if !salvage {
		j, err := OpenEmbedded(o)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, j.Stop()) }()
		return j.export(w, false)
	}
	j, damaged, err := openEmbedded(o)
	if err != nil {
		return 0, err
	}
	defer func() {
		j.nc.Close()
		err = errors.Join(err, j.store.close(0))
	}()
	n, err = j.export(w, true)
	for _, d := range damaged {
		err = errors.Join(err, d)
	}
	return n, err
}

func (j *Journal) export(w io.Writer, salvage bool) (n int, err error) {
	sub, err := j.nc.SubscribeSync(j.nc.NewInbox() + ".*")
	if err != nil {
		return 0, err
	}
	defer sub.Unsubscribe()
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return 0, err
	}
	s, err := j.js.Stream(context.Background(), j.stream)
	if err != nil {
		return 0, err
	}
	end := s.CachedInfo().State.LastSeq
	pg := &pager{journal: j, inbox: strings.TrimSuffix(sub.Subject, ".*"), sub: sub}
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for from := uint64(1); from <= end; {
		got, err := pg.scan(from)
		for _, rec := range got {
			from = rec.seq + 1
			l, ok := j.line(rec)
			if !ok {
				continue
			}
			if err := encoder.Encode(l); err != nil {
				return n, err
			}
			n++
		}
		switch {
		case err == nil && len(got) > 0:
		case salvage && !errors.Is(err, context.DeadlineExceeded):
			from++ // maybe what is behind it can be read
		case errors.Is(err, errEnd):
			return n, out.Flush()
		default:
			return n, j.store.explain(fmt.Errorf("from message %d on: %w", from, err))
		}
	}
	return n, out.Flush()
}

// line makes the line of a record, if it is a message that is shown.
func (j *Journal) line(rec raw) (l line, ok bool) {
	token, found := strings.CutPrefix(rec.subject, messagePrefix)
	name, err := roomOf(token)
	if !found || err != nil {
		return l, false
	}
	m, _, err := parseMessage(name, rec.data)
	if err != nil {
		return l, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.index.rooms[name]
	e := r.at(rec.seq)
	if e == nil || e.seq <= r.shownFloor() {
		return l, false
	}
	l = line{Room: name, Seq: rec.seq, Prev: e.prev, Retry: m.Idempotent, From: lineFrom(m.From), Text: string(m.Payload), At: m.At}
	if m.ID != (hub.ID{}) {
		l.ID = uuid.UUID(m.ID).String()
	}
	return l, true
}

// maxLine is the longest line of an import, in bytes.
const maxLine = 512 << 20

// Import puts what Export wrote into the store in o.Dir, which must be empty, and returns
// how many lines. Everything keeps its id and its time, and gets a new position in a new
// epoch. The error names the line; what was before it is stored.
func Import(o Options, r io.Reader) (n int, err error) {
	j, err := OpenEmbedded(o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Stop()) }()
	if j.next > 1 {
		return 0, fmt.Errorf("the history in %s is not empty: import into a folder that is", o.Dir)
	}
	in := &importer{journal: j, opened: make(map[string]bool), back: make(chan error, batchMessages)}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := in.take(lines.Bytes()); err != nil {
			return n - 1, errors.Join(fmt.Errorf("line %d: %w", n, err), in.wait())
		}
	}
	if err := lines.Err(); err != nil {
		return n, errors.Join(fmt.Errorf("line %d: %w", n+1, err), in.wait())
	}
	return n, in.wait()
}

// importer appends lines, not too many at a time.
type importer struct {
	journal *Journal
	opened  map[string]bool
	open    int        // appended and not back
	back    chan error // the outcome of each; the journal's writer sends, never closed
}

func (in *importer) take(b []byte) error {
	var l line
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&l); err != nil {
		return fmt.Errorf("want a JSON object as export writes it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("want one JSON object and nothing behind it")
	}
	m := &hub.Message{At: l.At, From: hub.Author(l.From), Payload: []byte(l.Text), Idempotent: l.Retry}
	switch {
	case l.Room == "" || strings.ContainsRune(l.Room, 0):
		return errors.New(`"room" must name a room`)
	case l.Text == "" || !utf8.ValidString(l.Text):
		return errors.New(`"text" must be there`)
	case l.At <= 0 || l.At > time.Now().Add(24*time.Hour).UnixMilli():
		return errors.New(`"at" must be a time in Unix milliseconds that is not in the future`)
	case l.ID != "":
		id, err := uuid.Parse(l.ID)
		if err != nil {
			return errors.New(`"id" must be a UUID`)
		}
		m.ID = hub.ID(id)
	case l.Retry:
		return errors.New(`"retry" needs an "id"`)
	}
	if !in.opened[l.Room] {
		in.opened[l.Room] = true
		if _, err := in.journal.Open(l.Room, func(e hub.Entry) { in.back <- e.Err }); err != nil {
			return err
		}
	}
	for in.open >= batchMessages {
		if err := in.one(); err != nil {
			return err
		}
	}
	in.journal.Append(l.Room, m)
	in.open++
	return nil
}

func (in *importer) one() error {
	in.open--
	return <-in.back
}

// wait returns when all that was appended is stored.
func (in *importer) wait() error {
	var err error
	for in.open > 0 {
		err = errors.Join(err, in.one())
	}
	return err
}
