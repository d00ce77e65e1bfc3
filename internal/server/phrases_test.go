package server

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/static"
)

// Where the source of this package names a code that a client gets to see.
var (
	errorCode   = regexp.MustCompile(`&clientError\{"(\w+)"`)
	closeReason = regexp.MustCompile(`(?:\.(?:close|refuse)\(wsproto\.Close\w+, |q\.refusal(?:, q\.seen)? = )"(\w+)"`)
)

// The page has its own words, in Japanese and English, for everything that the server
// tells a client by code: whatever this package says, as it stands in its source.
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
	codes := map[*regexp.Regexp][]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, said := range []*regexp.Regexp{errorCode, closeReason} {
			for _, m := range said.FindAllSubmatch(text, -1) {
				if !strings.HasSuffix(name, "_test.go") {
					codes[said] = append(codes[said], string(m[1]))
				}
			}
		}
	}
	for of, least := range map[*regexp.Regexp][]string{
		errorCode:   {"bad_json", "rate_limited", "internal"},
		closeReason: {"bad_query", "bad_after", "too_many_errors", "rooms_full", "overtaken", "pong_timeout", "restart"},
	} {
		for _, code := range least {
			if !slices.Contains(codes[of], code) {
				t.Errorf("%s is not found in the source any more: this test looks for it in the wrong way", code)
			}
		}
	}
	has := func(key string) bool {
		words := phrases[key]
		return len(words) == 2 && words[0] != "" && words[1] != "" && words[0] != words[1]
	}
	for _, code := range codes[errorCode] {
		if !has("error." + code) {
			t.Errorf("error.%s: %q, want words in two languages", code, phrases["error."+code])
		}
	}
	// What no page gets to see: it sends nothing binary and is no raw member.
	never := []string{"binary", "refused"}
	for _, reason := range codes[closeReason] {
		if !slices.Contains(never, reason) && !has("close."+reason) && !has("error."+reason) {
			t.Errorf("close.%s: %q, want words in two languages", reason, phrases["close."+reason])
		}
	}
}
