package chat

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"github.com/doyasa/doyasa/internal/config"
)

var roomTests = []struct {
	in, want string // want "": refused
}{
	{"doyasa", "doyasa"},
	{"Doyasa", "Doyasa"},
	{"a-b_c-1", "a-b_c-1"},
	{"どやさ", "どやさ"},
	{"ドヤサ", "ドヤサ"},
	{"ﾄﾞﾔｻ", "ドヤサ"},                      // half width
	{"ｄｏｙａｓａ１", "doyasa1"},               // full width
	{"か\u3099", "が"},                     // composed
	{"ﬁ", "fi"},                          // ligature
	{"комната", "комната"},               //
	{"กำแพง", norm.NFKC.String("กำแพง")}, // Thai, with a vowel sign
	{"हिन्दी", "हिन्दी"},                 // Hindi, with signs and a virama
	{"غرفة", "غرفة"},                     //
	{"٣", "٣"},                           // a digit of another script
	{strings.Repeat("a", 64), strings.Repeat("a", 64)},
	{strings.Repeat("ど", 64), strings.Repeat("ど", 64)},
	{strings.Repeat("a", 65), ""},
	{strings.Repeat("ど", 65), ""},
	{strings.Repeat("a", 10<<10), ""},
	{"", ""},
	{" ", ""},
	{"a b", ""},
	{"a\u3000b", ""},
	{"a.b", ""},
	{"../x", ""},
	{"*", ""},
	{">", ""},
	{"a.>", ""},
	{"$SYS.x", ""},
	{"a/b", ""},
	{"a\x00", ""},
	{"a\r\nb", ""},
	{"\xff", ""},
	{"\u0301a", ""}, // a mark with nothing before it
	{"a\u200b", ""},
	{"a\u200d", ""},
	{"a\u202e", ""},
	{"🎉", ""},
	{"①", "1"},
	{"½", ""},      // 1⁄2
	{"\u3164", ""}, // Hangul filler: a letter that shows nothing
	{"a\u115f", ""},
	{"a\ufe0f", ""}, // a variation selector: a mark that shows nothing
	{"a\u034f", ""},
	{"ﷺ", ""}, // becomes a line with spaces
}

func TestCleanRoom(t *testing.T) {
	for _, tt := range roomTests {
		if got, ok := config.CleanRoom(tt.in); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("config.CleanRoom(%+q) = %+q, %v, want %+q", tt.in, got, ok, tt.want)
		}
	}
}

// A nameTest is a row of the table that the page's tests read as well, so that both sides take the same names.
type nameTest struct {
	In, Want string // Want "": refused
	Times    int    // if it is not 0, In and Want are repeated so often
}

func readNameTests(t testing.TB) (rows []nameTest) {
	t.Helper()
	b, err := os.ReadFile("../../static/test/names.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) < 40 {
		t.Fatalf("names.json has %d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		rows[i].In, rows[i].Want = strings.Repeat(row.In, max(1, row.Times)), strings.Repeat(row.Want, max(1, row.Times))
	}
	return append(rows, nameTest{In: "\xff"}, nameTest{In: strings.Repeat("a", 10_000)}, nameTest{In: "a" + strings.Repeat("\u0301", 500)})
}

func TestCleanName(t *testing.T) {
	for _, tt := range readNameTests(t) {
		if got, ok := CleanName(tt.In); ok != (tt.Want != "") || ok && got != tt.Want {
			t.Errorf("CleanName(%+q) = %+q, %v, want %+q", tt.In, got, ok, tt.Want)
		}
	}
}

func FuzzCleanRoom(f *testing.F) {
	for _, tt := range roomTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := config.CleanRoom(in)
		if !ok {
			return
		}
		if again, ok := config.CleanRoom(got); !ok || again != got {
			t.Errorf("config.CleanRoom(%+q) = %+q, and of that %+q, %v: there are two names for one room", in, got, again, ok)
		}
		if n := utf8.RuneCountInString(got); n < 1 || n > 64 || strings.ContainsAny(got, "/.*> \x00") {
			t.Errorf("config.CleanRoom(%+q) = %+q", in, got)
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, tt := range readNameTests(f) {
		f.Add(tt.In)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := CleanName(in)
		if !ok {
			return
		}
		if again, ok := CleanName(got); !ok || again != got {
			t.Errorf("CleanName(%+q) = %+q, and of that %+q, %v", in, got, again, ok)
		}
		if n := uniseg.GraphemeClusterCount(got); n < 1 || n > maxNameGraphemes || !utf8.ValidString(got) || len(got) > maxNameBytes {
			t.Errorf("CleanName(%+q) = %+q: %d graphemes, %d bytes", in, got, n, len(got))
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("CleanName(%+q) = %+q controls something", in, got)
		}
	})
}
