package server

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
)

var (
	shownTranscript = regexp.MustCompile("(?s)```transcript\n(.*?)```")
	// Limits are shown in full in the first transcript only.
	tedious = regexp.MustCompile(`"limits":\{[^}]*\}`)
)

// TestProtocolDocument plays the transcripts of docs/protocol.md, which are written like
// those of testdata/transcripts.
func TestProtocolDocument(t *testing.T) {
	const name = "../../docs/protocol.md"
	document, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	document = shownTranscript.ReplaceAllFunc(document, func(block []byte) []byte {
		played++
		want := string(shownTranscript.FindSubmatch(block)[1])
		var got string
		t.Run(strconv.Itoa(played), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got = tedious.ReplaceAllString(perform(t, want), `"limits":{…}`)
			})
			if !*update && got != want {
				t.Errorf("what happens differs from transcript %d (-update rewrites it):\n%s", played, difference(want, got))
			}
		})
		return []byte("```transcript\n" + got + "```")
	})
	if played < 8 {
		t.Errorf("the document has %d transcripts; there were more", played)
	}
	if *update {
		if err := os.WriteFile(name, document, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
