package journal

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// Everything that is shown comes back: text, author, time, id, order in each room; and
// what was acknowledged is still known when it is said again.
func TestExportImport(t *testing.T) {
	from, to := Options{Dir: filepath.Join(t.TempDir(), "a"), Limits: Limits{Messages: 50}}, Options{Dir: filepath.Join(t.TempDir(), "b")}
	j := openIn(t, from)
	for i := range 10 {
		say(t, j, "r", i*20, 20)
		say(t, j, "部屋", i, 1)
	}
	before := map[string]hub.Page{"r": page(t, j, "r", all), "部屋": page(t, j, "部屋", all)}
	if _, err := Export(from, new(bytes.Buffer), false); err == nil {
		t.Error("exported while the server runs")
	} else {
		wantLine(t, err, from.Dir, "another doyasa is using it")
	}
	stop(t, j)
	var dump bytes.Buffer
	if n, err := Export(from, &dump, false); n != 60 || err != nil {
		t.Fatalf("Export = %d, %v; want 60", n, err)
	}
	for l := range strings.Lines(dump.String()) {
		if !json.Valid([]byte(l)) {
			t.Errorf("no JSON: %s", l)
		}
	}
	if n, err := Import(to, bytes.NewReader(dump.Bytes())); n != 60 || err != nil {
		t.Fatalf("Import = %d, %v; want 60", n, err)
	}
	_, err := Import(to, bytes.NewReader(dump.Bytes()))
	wantLine(t, err, to.Dir, "is not empty")
	j = openIn(t, to)
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
			t.Error("the epoch is the same, and the positions are others")
		}
	}
}

func TestImportRefused(t *testing.T) {
	good := `{"room":"r","seq":1,"prev":0,"id":"01a218ab-6aeb-7e56-ae01-c95510affb3f","from":{"id":"a","name":"A"},"text":"x","at":1795710216939}`
	for _, c := range []struct{ line, want string }{
		{`x`, "line 2: want a JSON object"},
		{good + good, "line 2: want one JSON object"},
		{`{"room":"","text":"x","at":1}`, `line 2: "room"`},
		{`{"room":"r","text":"","at":1}`, `line 2: "text"`},
		{`{"room":"r","text":"x","at":0}`, `line 2: "at"`},
		{`{"room":"r","text":"x","at":9000000000000000}`, `line 2: "at"`},
		{`{"room":"r","text":"x","at":1,"id":"7"}`, `line 2: "id"`},
		{`{"room":"r","text":"x","at":1,"retry":true}`, `line 2: "retry"`},
	} {
		n, err := Import(Options{Dir: t.TempDir()}, strings.NewReader(good+"\n"+c.line+"\n"+good+"\n"))
		wantLine(t, err, c.want)
		if n != 1 {
			t.Errorf("%s: %d lines before the error, want 1", c.line, n)
		}
	}
}

// There is nothing to export, and nothing is made there.
func TestExportNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := Export(Options{Dir: dir}, new(bytes.Buffer), false)
	wantLine(t, err, "there is no history in "+dir)
}
