package server

import (
	"encoding/json"
	"os"
	"testing"
)

// A guest's name is in the language of the page: both sides read the same table.
func TestGuestName(t *testing.T) {
	b, err := os.ReadFile("../../static/test/languages.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Header, Want string }
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) < 10 {
		t.Fatalf("languages.json has %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if got, want := guestName(row.Header), map[string]string{"ja": "ゲスト", "en": "Guest "}[row.Want]; got != want {
			t.Errorf("guestName(%q) = %q, want %q", row.Header, got, want)
		}
	}
	if got, want := guestName(""), "ゲスト"; got != want {
		t.Errorf("guestName of a client that names no language = %q, want %q", got, want)
	}
}
