package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// A line is one message of an export.
type line struct {
	Room string `json:"room"`
	Seq  uint64 `json:"seq"`
	Prev uint64 `json:"prev"`
	ID   string `json:"id,omitempty"`
	// Retry means that the sender has chosen the id and may send the message again with it.
	Retry bool     `json:"retry,omitempty"`
	From  lineFrom `json:"from"`
	Text  string   `json:"text"`
	At    int64    `json:"at"` // Unix milliseconds
}

type lineFrom struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func lineOf(room string, m *hub.Message) line {
	l := line{Room: room, Seq: m.Seq, Prev: m.Prev, Retry: m.Idempotent, From: lineFrom(m.From), Text: string(m.Payload), At: m.At}
	if m.ID != (hub.ID{}) {
		l.ID = uuid.UUID(m.ID).String()
	}
	return l
}

// A lineWriter writes lines and counts them.
type lineWriter struct {
	out     *bufio.Writer
	encoder *json.Encoder
	n       int
}

func newLineWriter(w io.Writer) *lineWriter {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return &lineWriter{out: out, encoder: encoder}
}

func (w *lineWriter) write(room string, m *hub.Message) error {
	if err := w.encoder.Encode(lineOf(room, m)); err != nil {
		return err
	}
	w.n++
	return nil
}

// ErrInUse means that a server has the store open. Ask that server for the export instead.
var ErrInUse = errLocked

// Export writes every message in the folder that no trim has removed as JSON Lines, in the one order of all rooms, and returns the
// number of lines. It changes nothing, and no limit applies. Without salvage it refuses a damaged store. With salvage it writes the
// messages that can be read, and the error lists the damage.
func Export(dir string, w io.Writer, salvage bool) (n int, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no history in %s", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, oldStore)); err == nil {
		return 0, explain(dir, errOld)
	}
	lock, err := shareLock(dir)
	if err != nil {
		return 0, explain(dir, err)
	}
	defer lock.release()
	floors, isStore := make(map[string]uint64), false
	damage, err := scanRecords(dir, salvage, func(rec record) error {
		isStore = true
		if rec.kind == kindTrim {
			floors[rec.room] = max(floors[rec.room], rec.floor)
		}
		return nil
	})
	if err == nil && len(damage) > 0 && !salvage {
		err = damage[0]
	}
	if err != nil {
		return 0, explain(dir, err)
	}
	if !isStore && len(damage) == 0 {
		return 0, fmt.Errorf("there is no history in %s", dir)
	}
	out := newLineWriter(w)
	_, err = scanRecords(dir, salvage, func(rec record) error {
		if rec.kind != kindMessage || rec.seq <= floors[rec.room] {
			return nil
		}
		return out.write(rec.room, rec.message)
	})
	return out.n, errors.Join(err, out.out.Flush(), errors.Join(damage...))
}

// scanRecords calls f with each record of a folder. With salvage it leaves out records that cannot be parsed.
func scanRecords(dir string, salvage bool, f func(record) error) (damage []error, err error) {
	var senseless []error
	damage, err = seglog.Scan(dir, func(body []byte) error {
		rec, err := parseRecord(body)
		if err != nil && salvage {
			senseless = append(senseless, err)
			return nil
		}
		if err != nil {
			return err
		}
		return f(rec)
	})
	return append(damage, senseless...), err
}

// Export writes messages as JSON Lines, in the one order of all rooms, while the journal goes on. It writes every message that is stored
// when it begins, unless the message is trimmed before its turn comes. It returns the number of lines.
func (j *Journal) Export(w io.Writer) (n int, err error) {
	type place struct {
		seq  uint64
		room *room
	}
	j.mu.Lock()
	var places []place
	for _, r := range j.rooms {
		for i := range r.kept {
			places = append(places, place{r.kept[i].seq, r})
		}
	}
	j.mu.Unlock()
	slices.SortFunc(places, func(a, b place) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	out := newLineWriter(w)
	for _, p := range places {
		m, err := j.message(p.room, p.seq)
		if err != nil {
			return out.n, errors.Join(explain(j.opts.Dir, err), out.out.Flush())
		}
		if m == nil {
			continue
		}
		if err := out.write(p.room.name, m); err != nil {
			return out.n, err
		}
	}
	return out.n, out.out.Flush()
}

// message returns the message with a Seq, or nil if the room does not keep it any longer.
func (j *Journal) message(r *room, seq uint64) (*hub.Message, error) {
	for {
		j.mu.Lock()
		e := r.keptAt(seq)
		if e == nil {
			j.mu.Unlock()
			return nil, nil
		}
		m, pos := e.message, e.pos
		j.mu.Unlock()
		if m != nil {
			return m, nil
		}
		m, err := j.readMessage(pos, seq)
		if !errors.Is(err, seglog.ErrMoved) {
			return m, err
		}
	}
}
