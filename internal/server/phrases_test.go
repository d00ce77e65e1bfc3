package server

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/doyasa/doyasa/static"
)

// The page has its own words, in Japanese and English, for everything that the server
// tells a client by code.
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
	var keys []string
	for _, wrong := range []*clientError{errBadJSON, errBadType, errUnknownType, errBadText, errTextEmpty, errTextTooLong, errBadID,
		errBadName, errRateLimited, errBusy, errNotStored, errInternal} {
		keys = append(keys, "error."+wrong.code)
	}
	for _, reason := range []string{"bad_query", "bad_room", "bad_after", "too_many_errors", "rooms_full", "overtaken", "pong_timeout", "restart"} {
		keys = append(keys, "close."+reason)
	}
	for _, key := range keys {
		if words := phrases[key]; len(words) != 2 || words[0] == "" || words[1] == "" || words[0] == words[1] {
			t.Errorf("%s: %q, want words in two languages", key, words)
		}
	}
}
