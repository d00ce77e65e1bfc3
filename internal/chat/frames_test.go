package chat

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/protocol.md has an example of each frame of the table under its direction, with the same keys, and of
// no others; and its transcripts, which are played, have each frame that the server sends.
func TestFramesAreDocumented(t *testing.T) {
	from := map[string]map[string][]string{ // by section: the keys of each frame
		"server": examples(section(t, "### From the server")),
		"client": examples(section(t, "### From the client")),
	}
	document, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, played, _ := strings.Cut(string(document), "\n## Transcripts\n")
	for _, f := range frameTypes {
		keys, shown := from["server"][f.name]
		switch {
		case (f.sent != nil) != shown:
			t.Errorf("%s: from the server %v, and documented there %v", f.name, f.sent != nil, shown)
		case shown && !slices.Equal(keys, keysOf(reflect.TypeOf(f.sent))):
			t.Errorf("%s: documented with %q, sent with %q", f.name, keys, keysOf(reflect.TypeOf(f.sent)))
		}
		if _, shown := from["client"][f.name]; shown != (f.handle != nil) {
			t.Errorf("%s: handled %v, and documented as from the client %v", f.name, f.handle != nil, shown)
		}
		if f.sent != nil && !strings.Contains(played, `< {"type":"`+f.name+`",`) {
			t.Errorf("no transcript has a frame of type %s", f.name)
		}
		delete(from["server"], f.name)
		delete(from["client"], f.name)
	}
	for side, frames := range from {
		for name := range frames {
			t.Errorf("%s is documented as from the %s and not in the table", name, side)
		}
	}
}

// examples returns the keys of each frame that stands as an example in a section, by its type.
func examples(section string) map[string][]string {
	all := make(map[string][]string)
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(section, -1) {
		for d := json.NewDecoder(strings.NewReader(block[1])); d.More(); {
			var frame map[string]json.RawMessage
			if err := d.Decode(&frame); err != nil {
				all[err.Error()] = nil
				break
			}
			var name string
			json.Unmarshal(frame["type"], &name)
			keys := make([]string, 0, len(frame))
			for key := range frame {
				keys = append(keys, key)
			}
			slices.Sort(keys)
			all[name] = keys
		}
	}
	return all
}

// keysOf returns the JSON keys of a struct.
func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
