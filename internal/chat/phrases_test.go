package chat

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/doyasa/doyasa/static"
)

// The page has its own words, in Japanese and English, for every code that it can get to see in an error
// frame or a Close frame.
func TestPageHasWordsForEveryCode(t *testing.T) {
	source, err := static.Files.ReadFile("js/phrases.js")
	if err != nil {
		t.Fatal(err)
	}
	_, source, found := bytes.Cut(source, []byte("export default "))
	var phrases map[string][]string
	if err := json.Unmarshal(bytes.TrimSuffix(bytes.TrimSpace(source), []byte(";")), &phrases); err != nil || !found {
		t.Fatalf("phrases.js is not `export default` and JSON: %v", err)
	}
	has := func(key string) bool {
		words := phrases[key]
		return len(words) == 2 && words[0] != "" && words[1] != "" && words[0] != words[1]
	}
	unseen := map[*Code]bool{Binary: true, Refused: true} // the page sends nothing binary and is not a raw member
	for _, c := range Codes {
		if c.Frame && !has("error."+c.Name) {
			t.Errorf("error.%s: %q, want words in two languages", c.Name, phrases["error."+c.Name])
		}
		if len(c.Close) > 0 && !unseen[c] && !has("close."+c.Name) && !has("error."+c.Name) {
			t.Errorf("close.%s: %q, want words in two languages", c.Name, phrases["close."+c.Name])
		}
	}
	if len(Codes) < 25 {
		t.Errorf("there are %d codes; there were more", len(Codes))
	}
}
