package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

// latest is the latest time that a message can have, in Unix milliseconds. The number of a message is a time in microseconds, and it is
// below 2^53.
const latest = 1 << 53 / 1000

// maxLine is the longest line of an import, in bytes.
const maxLine = 512 << 20

// Import puts the lines of an export into the store in o.Dir, which must be empty, and returns the number of lines. No limit applies. A
// server that is started with the folder later trims the messages that are over its limits. Every message keeps its id and its time, and
// gets a new number in a new epoch. check returns an error for a message that no client could have sent. The error of Import names the
// line. The lines before it are stored.
func Import(o Options, r io.Reader, check func(room, name, text string) error) (n int, err error) {
	o.Limits = hub.Limits{}
	j := newJournal(o)
	defer func() { err = errors.Join(err, j.close()) }()
	if err := j.open(); err != nil {
		return 0, explain(o.Dir, err)
	}
	if len(j.rooms) > 0 {
		return 0, fmt.Errorf("the history in %s is not empty: import into a folder that is", o.Dir)
	}
	in := &importer{journal: j, check: check}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := in.take(lines.Bytes()); err != nil {
			return n - 1, errors.Join(fmt.Errorf("line %d: %w", n, err), in.store())
		}
	}
	if err := lines.Err(); err != nil {
		return n, errors.Join(fmt.Errorf("line %d: %w", n+1, err), in.store())
	}
	return n, in.store()
}

// An importer gathers messages and stores them in batches.
type importer struct {
	journal *Journal
	check   func(room, name, text string) error
	records []record
	bytes   int
}

func (in *importer) take(b []byte) error {
	room, m, err := in.parse(b)
	if err != nil {
		return err
	}
	j := in.journal
	r := j.room(room)
	m.Seq, m.Prev = j.nextSeq(time.Now()), max(r.tail, r.head)
	r.tail = m.Seq
	in.records = append(in.records, record{kind: kindMessage, seq: m.Seq, room: room, message: m})
	if in.bytes += m.Size(); len(in.records) >= batchMessages || in.bytes >= batchBytes {
		return in.store()
	}
	return nil
}

func (in *importer) store() error {
	records := in.records
	in.records, in.bytes = nil, 0
	return in.journal.commit(records)
}

// parse reads one line. It returns an error if the store could not keep every field of the line unchanged.
func (in *importer) parse(b []byte) (room string, m *hub.Message, err error) {
	if !utf8.Valid(b) {
		return "", nil, errors.New("it is not UTF-8")
	}
	var l line
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return "", nil, fmt.Errorf("want a JSON object as export writes it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("want one JSON object and nothing after it")
	}
	if l.At <= 0 || l.At > latest {
		return "", nil, errors.New(`"at" must be a time in Unix milliseconds, before the year 2255`)
	}
	if err := in.check(l.Room, l.From.Name, l.Text); err != nil {
		return "", nil, err
	}
	m = &hub.Message{At: l.At, From: hub.Author(l.From), Payload: []byte(l.Text), Idempotent: l.Retry}
	switch {
	case l.ID != "":
		id, err := uuid.Parse(l.ID)
		if err != nil || len(l.ID) != 36 {
			return "", nil, errors.New(`"id" must be a UUID in its 36-character form`)
		}
		m.ID = hub.ID(id)
	case l.Retry:
		return "", nil, errors.New(`"retry" needs an "id"`)
	}
	return l.Room, m, nil
}
