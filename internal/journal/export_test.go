package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// anything is what an import takes when nothing is checked but the form of a line.
func anything(room, _, text string) error {
	if room == "" {
		return errors.New(`"room" is missing`)
	}
	if text == "" {
		return errors.New(`"text" is missing`)
	}
	return nil
}

// Everything that is kept comes back: text, author, time, id, order in each room; and what was acknowledged is still known when it
// is said again.
func TestExportImport(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	j := openIn(t, from, hub.Limits{Messages: 50})
	for i := range 10 {
		say(t, j, "r", i*20, 20)
		say(t, j, "部屋", i, 1)
	}
	before := map[string]hub.Page{"r": page(t, j, "r", all), "部屋": page(t, j, "部屋", all)}
	if _, err := Export(from, new(bytes.Buffer), false); !errors.Is(err, ErrInUse) {
		t.Errorf("exported while a server runs: %v", err)
	}
	uncache(j)
	var live, dump bytes.Buffer
	if n, err := j.Export(&live); n != 60 || err != nil {
		t.Fatalf("the journal's own Export = %d, %v; want 60", n, err)
	}
	stop(t, j)
	if n, err := Export(from, &dump, false); n != 60 || err != nil {
		t.Fatalf("Export = %d, %v; want 60", n, err)
	}
	if live.String() != dump.String() {
		t.Errorf("while the server runs:\n%s\nwhen it is stopped:\n%s", live.String(), dump.String())
	}
	for l := range strings.Lines(dump.String()) {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %s", l)
		}
	}
	if n, err := Import(Options{Dir: to}, bytes.NewReader(dump.Bytes()), anything); n != 60 || err != nil {
		t.Fatalf("Import = %d, %v; want 60", n, err)
	}
	_, err := Import(Options{Dir: to}, bytes.NewReader(dump.Bytes()), anything)
	wantLine(t, err, to, "is not empty")
	j = openIn(t, to, hub.Limits{})
	defer stop(t, j)
	for room, was := range before {
		is := page(t, j, room, all)
		if len(is.Messages) != len(was.Messages) {
			t.Fatalf("room %s: %d messages, want %d", room, len(is.Messages), len(was.Messages))
		}
		for i, m := range is.Messages {
			a, b := *m, *was.Messages[i]
			a.Seq, a.Prev, b.Seq, b.Prev = 0, 0, 0, 0
			if !reflect.DeepEqual(a, b) {
				t.Errorf("room %s: %+v, want %+v", room, a, b)
			}
		}
		if o, _ := j.Open(room, func(hub.Entry) {}); len(o.Recent) != len(was.Messages) {
			t.Errorf("room %s: %d ids known, want %d", room, len(o.Recent), len(was.Messages))
		}
		if is.Epoch == was.Epoch {
			t.Error("the epoch is the same, although the places are others")
		}
	}
}

// An export has all that is stored and an import keeps all of it, whatever the limits of the server were or are.
func TestExportTakesNoLimits(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	j := openIn(t, from, hub.Limits{})
	for i := range 4 {
		say(t, j, "r", i*1000, 1000)
	}
	stop(t, j)
	var dump bytes.Buffer
	if n, err := Export(from, &dump, false); n != 4000 || err != nil {
		t.Fatalf("Export = %d, %v; want 4000", n, err)
	}
	o := Options{Dir: to, Limits: hub.Limits{Messages: 1000, Bytes: 1000, TotalBytes: 1000}}
	if n, err := Import(o, &dump, anything); n != 4000 || err != nil {
		t.Fatalf("Import = %d, %v; want 4000", n, err)
	}
	j = openIn(t, to, hub.Limits{})
	defer stop(t, j)
	if p := page(t, j, "r", all); len(p.Messages) != 4000 {
		t.Errorf("%d messages kept of 4000 that were imported", len(p.Messages))
	}
}

func TestImportRefused(t *testing.T) {
	good := `{"room":"r","seq":1,"prev":0,"id":"01a218ab-6aeb-7e56-ae01-c95510affb3f","from":{"id":"a","name":"A"},"text":"x","at":1795710216939}`
	for _, c := range []struct{ line, want string }{
		{`x`, "line 2: want a JSON object"},
		{good + good, "line 2: want one JSON object"},
		{`{"room":"","text":"x","at":1}`, `line 2: "room"`},
		{`{"room":"r","text":"","at":1}`, `line 2: "text"`},
		{"{\"room\":\"r\",\"text\":\"\x82\xc7\",\"at\":1}", `line 2: it is not UTF-8`},
		{`{"room":"r","text":"x","at":0}`, `line 2: "at"`},
		{`{"room":"r","text":"x","at":9000000000000000}`, `line 2: "at"`},
		{`{"room":"r","text":"x","at":1,"id":"7"}`, `line 2: "id"`},
		{`{"room":"r","text":"x","at":1,"retry":true}`, `line 2: "retry"`},
		{`{"room":"r","text":"x","at":1,"colour":"red"}`, `line 2: want a JSON object`},
	} {
		n, err := Import(Options{Dir: t.TempDir()}, strings.NewReader(good+"\n"+c.line+"\n"+good+"\n"), anything)
		wantLine(t, err, c.want)
		if n != strings.Count(c.line, "\n")+1 {
			t.Errorf("%s: %d lines before the error", c.line, n)
		}
	}
}

// There is nothing to export, and nothing is made there.
func TestExportNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, dir := range []string{dir, t.TempDir()} {
		_, err := Export(dir, new(bytes.Buffer), false)
		wantLine(t, err, "there is no history in "+dir)
	}
	old := t.TempDir()
	if err := os.Mkdir(filepath.Join(old, oldStore), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Export(old, new(bytes.Buffer), false)
	wantLine(t, err, old, "before the first release")
}
