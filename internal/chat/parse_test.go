package chat

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/doyasa/doyasa/hub"
)

// sayOf reads a `say` as a session does, and returns the code of what is wrong.
func sayOf(payload string, textBytes int) (id hub.ID, text, code string) {
	f, wrong := parseFields([]byte(payload))
	if wrong != nil {
		return id, "", wrong.Name
	}
	switch typ, there, ok := f.text("type"); {
	case !there || !ok:
		return id, "", BadType.Name
	case typ != "say":
		return id, "", UnknownType.Name
	}
	id, text, wrong = f.parseSay(textBytes)
	if wrong != nil {
		return id, text, wrong.Name
	}
	return id, text, ""
}

// Only a valid id is returned, because errors carry it.
func TestBadIDIsNone(t *testing.T) {
	for _, given := range []string{"{" + someID + "}", "urn:uuid:" + someID, strings.ReplaceAll(someID, "-", ""), someID[:35] + "g", someID + " "} {
		if id, ok := ParseID(given); ok || id != (hub.ID{}) {
			t.Errorf("ParseID(%q) = %v, %v; want none", given, id, ok)
		}
	}
}

// The rows M1 to M15 of the catalogue.
var sayTests = []struct {
	row, payload string
	text, code   string
}{
	{"plain", `{"type":"say","text":"どやさ"}`, "どやさ", ""},
	{"spaces", " { \"type\" : \"say\" ,\r\n\t\"text\" : \"x\" } ", "x", ""},
	{"escapes", `{"type":"\u0073ay","text":"\u3069\n\ud83d\ude00<\/b>"}`, "ど\n😀</b>", ""},
	{"M1 word", `hello`, "", "bad_json"},
	{"M1 brace", `{`, "", "bad_json"},
	{"M1 quotes", `{'a':1}`, "", "bad_json"},
	{"M1 comma", `{"type":"say","text":"x",}`, "", "bad_json"},
	{"M1 newline", "{\"type\":\"say\",\"text\":\"a\nb\"}", "", "bad_json"},
	{"M2 nothing", ``, "", "bad_json"},
	{"M2 spaces", `   `, "", "bad_json"},
	{"M2 byte order mark", "\ufeff{\"type\":\"say\",\"text\":\"x\"}", "", "bad_json"},
	{"M3 null", `null`, "", "bad_json"},
	{"M3 array", `[]`, "", "bad_json"},
	{"M3 string", `"x"`, "", "bad_json"},
	{"M3 number", `42`, "", "bad_json"},
	{"M3 true", `true`, "", "bad_json"},
	{"M4 unknown", `{"type":"shout","text":"x"}`, "", "unknown_type"},
	{"M4 empty", `{"type":"","text":"x"}`, "", "unknown_type"},
	{"M4 missing", `{"text":"x"}`, "", "bad_type"},
	{"M5 type", `{"type":1,"text":"x"}`, "", "bad_type"},
	{"M5 type null", `{"type":null,"text":"x"}`, "", "bad_type"},
	{"M5 type list", `{"type":["say"],"text":"x"}`, "", "bad_type"},
	{"M5 text number", `{"type":"say","text":1}`, "", "bad_text"},
	{"M5 text object", `{"type":"say","text":{"a":"b"}}`, "", "bad_text"},
	{"M5 text list", `{"type":"say","text":["a"]}`, "", "bad_text"},
	{"M5 text null", `{"type":"say","text":null}`, "", "bad_text"},
	{"M5 text bool", `{"type":"say","text":true}`, "", "bad_text"},
	{"M5 id number", `{"type":"say","text":"x","id":1}`, "", "bad_id"},
	{"M5 id null", `{"type":"say","text":"x","id":null}`, "", "bad_id"},
	{"M6 deep", `{"type":"say","text":"x","a":` + strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999) + `}`, "x", ""},
	{"M6 deeper", `{"type":"say","text":"x","a":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, "", "bad_json"},
	{"M6 brackets", strings.Repeat("[", 64<<10), "", "bad_json"},
	{"M7 number nobody asked for", `{"type":"say","text":"x","n":1e400,"m":-0,"o":` + strings.Repeat("9", 10_000) + `}`, "x", ""},
	{"M7 number as text", `{"type":"say","text":1e400}`, "", "bad_text"},
	{"M8 the last counts", `{"type":"say","text":"a","text":"b"}`, "b", ""},
	{"M8 the last is wrong", `{"type":"say","text":"a","text":1}`, "", "bad_text"},
	{"M8 by escape", `{"type":"say","text":"a","\u0074ext":"b"}`, "b", ""},
	{"M9 TYPE", `{"TYPE":"say","text":"x"}`, "", "bad_type"},
	{"M9 Text", `{"type":"say","Text":"x"}`, "", "bad_text"},
	{"M9 SAY", `{"type":"SAY","text":"x"}`, "", "unknown_type"},
	{"M10 two", `{"type":"say","text":"x"}{"type":"say","text":"y"}`, "", "bad_json"},
	{"M10 junk", `{"type":"say","text":"x"} x`, "", "bad_json"},
	{"M11 lone surrogate", `{"type":"say","text":"\ud800"}`, "\ufffd", ""},
	{"M11 surrogates turned", `{"type":"say","text":"\udc00\ud800"}`, "\ufffd\ufffd", ""},
	{"M12 NUL", `{"type":"say","text":"a\u0000"}`, "", "bad_text"},
	{"M12 C0", `{"type":"say","text":"a\u001b[2J"}`, "", "bad_text"},
	{"M12 C1", `{"type":"say","text":"a\u009b"}`, "", "bad_text"},
	{"M12 DEL", `{"type":"say","text":"a\u007f"}`, "", "bad_text"},
	{"M12 tab, line end", `{"type":"say","text":"a\t\nb"}`, "a\t\nb", ""},
	{"M14 exact", `{"type":"say","text":"` + strings.Repeat("x", 4096) + `"}`, strings.Repeat("x", 4096), ""},
	{"M14 exact in characters of 3 bytes", `{"type":"say","text":"` + strings.Repeat("ど", 1365) + `x"}`, strings.Repeat("ど", 1365) + "x", ""},
	{"M14 one more", `{"type":"say","text":"` + strings.Repeat("x", 4097) + `"}`, "", "text_too_long"},
	{"M14 escapes count as what they mean", `{"type":"say","text":"` + strings.Repeat(`\u0078`, 4096) + `"}`, strings.Repeat("x", 4096), ""},
	{"M15 spoofed", `{"type":"say","text":"x","from":{"id":"1"},"seq":9,"at":1,"prev":3}`, "x", ""},
	{"F33 empty", `{"type":"say","text":""}`, "", "text_empty"},
	{"empty for the eye", `{"type":"say","text":" \u3000\n"}`, "", "text_empty"},
	{"letters nobody can see", `{"type":"say","text":"\u200b\u3164\ufe0f"}`, "", "text_empty"},
	{"no text", `{"type":"say"}`, "", "bad_text"},
	{"line ends", `{"type":"say","text":"a\r\nb\nc"}`, "a\nb\nc", ""},
	{"id", `{"type":"say","text":"x","id":"` + someID + `"}`, "x", ""},
	{"id in capitals", `{"type":"say","text":"x","id":"` + strings.ToUpper(someID) + `"}`, "x", ""},
	{"id in braces", `{"type":"say","text":"x","id":"{` + someID + `}"}`, "", "bad_id"},
	{"id as URN", `{"type":"say","text":"x","id":"urn:uuid:` + someID + `"}`, "", "bad_id"},
	{"id without dashes", `{"type":"say","text":"x","id":"` + strings.ReplaceAll(someID, "-", "") + `"}`, "", "bad_id"},
	{"id empty", `{"type":"say","text":"x","id":""}`, "", "bad_id"},
	{"id of zeros", `{"type":"say","text":"x","id":"00000000-0000-0000-0000-000000000000"}`, "", "bad_id"},
	{"both wrong", `{"type":"say","text":1,"id":1}`, "", "bad_id"},
}

func TestParseSay(t *testing.T) {
	for _, tt := range sayTests {
		began := time.Now()
		id, text, code := sayOf(tt.payload, 4096)
		if code != tt.code || code == "" && text != tt.text {
			t.Errorf("%s: %.60q, %q, want %.60q, %q", tt.row, text, code, tt.text, tt.code)
		}
		if given := strings.HasPrefix(tt.row, "id"); code == "" && given != (id != hub.ID{}) {
			t.Errorf("%s: id %x", tt.row, id)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", tt.row, took)
		}
	}
}

// Every kind of line end becomes one, as in the page: both sides read the same table.
func TestCleanText(t *testing.T) {
	b, err := os.ReadFile("../../static/test/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ In, Want string }
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) < 10 {
		t.Fatalf("texts.json has %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		wrong := (*Code)(nil)
		if row.Want == "" {
			wrong = TextEmpty
		}
		if got, code := CleanText(row.In, 100); got != row.Want || code != wrong {
			t.Errorf("CleanText(%+q) = %+q, %v, want %+q, %v", row.In, got, code, row.Want, wrong)
		}
	}
}

// FuzzParse: any input is either a text that may be shown or an error.
func FuzzParse(f *testing.F) {
	for _, tt := range sayTests {
		f.Add([]byte(tt.payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		fields, wrong := parseFields(bytes.Clone(payload))
		if (fields == nil) != (wrong != nil) || wrong == nil && !json.Valid(payload) {
			t.Fatalf("parseFields(%q) = %v, %v", payload, fields, wrong)
		}
		if wrong != nil {
			return
		}
		fields.text("type")
		id, text, wrong := fields.parseSay(100)
		if wrong != nil {
			return
		}
		if len(text) > 100 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\x7f\r") || strings.TrimSpace(text) == "" {
			t.Errorf("parseSay(%q) = %q", payload, text)
		}
		if _, given := fields["id"]; given != (id != hub.ID{}) {
			t.Errorf("parseSay(%q) = id %x", payload, id)
		}
	})
}

// Encoded JSON decodes to the same text, and has < > & as they are.
func TestEncodeJSON(t *testing.T) {
	for _, text := range []string{"<b>&amp;</b>", "\u2028", "どやさ", "\"\\\n", "\x00", "\ufffd"} {
		b := EncodeJSON(liveFrame{text, 1})
		var got liveFrame
		if err := json.Unmarshal(b, &got); err != nil || got.Type != text {
			t.Errorf("EncodeJSON(%q) = %s, %v", text, b, err)
		}
		if bytes.Contains(b, []byte(`\u003c`)) || bytes.HasSuffix(b, []byte("\n")) {
			t.Errorf("EncodeJSON(%q) = %q", text, b)
		}
	}
}
