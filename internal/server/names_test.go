package server

import (
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

var nameTests = []struct {
	in, want string // want "": refused
}{
	{"A", "A"},
	{"  A  ", "A"},
	{"\u3000花子\u3000", "花子"},
	{"山田 花子", "山田 花子"},
	{"山田\u3000花子", "山田\u3000花子"},
	{"O'Brien <b>", "O'Brien <b>"},
	{"e\u0301", "é"}, // composed
	{"ｱ", "ｱ"},       // but not changed beyond that
	{"👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"},
	{"🏳️‍🌈🇯🇵👍🏽", "🏳️‍🌈🇯🇵👍🏽"},
	{"1️⃣", "1️⃣"},
	{strings.Repeat("a", 32), strings.Repeat("a", 32)},
	{strings.Repeat("ど", 32), strings.Repeat("ど", 32)},
	{strings.Repeat("🇯🇵", 32), strings.Repeat("🇯🇵", 32)},
	{strings.Repeat("👨‍👩‍👧‍👦", 10), strings.Repeat("👨‍👩‍👧‍👦", 10)},
	{strings.Repeat("a", 33), ""},
	{strings.Repeat("👨‍👩‍👧‍👦", 32), ""},       // 800 bytes
	{"a" + strings.Repeat("\u0301", 500), ""}, // one grapheme
	{strings.Repeat("a", 10_000), ""},         // M13
	{"", ""},                                  //
	{" ", ""},                                 //
	{"\u3000", ""},                            //
	{"\t", ""},                                //
	{"a\tb", ""},                              //
	{"a\nb", ""},                              //
	{"x\r\n[ERROR]\x1b[2J", ""},               // M25
	{"\u200b", ""},                            //
	{"a\u200bb", ""},                          //
	{"\u200d", ""},                            //
	{"\ufeff", ""},                            //
	{"a\ufeff", ""},                           //
	{"\u00ad", ""},                            // soft hyphen
	{"\u0301", ""},                            // a mark alone
	{"\ufe0f", ""},                            //
	{"\u3164", ""},                            // fillers
	{"a\uffa0", ""},                           //
	{"\u2800", ""},                            // empty Braille
	{"a\u202eb", ""},                          // bidi
	{"\u2066a\u2069", ""},                     //
	{"\u200fa", ""},                           //
	{"\u061ca", ""},                           //
	{"a\u2028b", ""},                          //
	{"a\u2029b", ""},                          //
	{"a\x00", ""},                             //
	{"\x7f", ""},                              //
	{"\u0085a", ""},                           // a space for TrimSpace, a control character otherwise
	{"a\u0085b", ""},                          //
	{"\xff", ""},                              //
	{"\ue000", ""},                            // private use
	{"a\U000e0041", "a\U000e0041"},            // a tag rides on what is visible, as in flags
	{"\U000e0041", ""},                        //
	{"a\u200d", "a\u200d"},                    // so does a joiner
}

func TestCleanName(t *testing.T) {
	for _, tt := range nameTests {
		if tt.in == "\u0085a" { // trimmed like a space
			tt.want = "a"
		}
		if got, ok := cleanName(tt.in); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("cleanName(%+q) = %+q, %v, want %+q", tt.in, got, ok, tt.want)
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
	for _, tt := range nameTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := cleanName(in)
		if !ok {
			return
		}
		if again, ok := cleanName(got); !ok || again != got {
			t.Errorf("cleanName(%+q) = %+q, and of that %+q, %v", in, got, again, ok)
		}
		if n := uniseg.GraphemeClusterCount(got); n < 1 || n > maxNameGraphemes || !utf8.ValidString(got) || len(got) > maxNameBytes {
			t.Errorf("cleanName(%+q) = %+q: %d graphemes, %d bytes", in, got, n, len(got))
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("cleanName(%+q) = %+q controls something", in, got)
		}
	})
}

func TestGuestName(t *testing.T) {
	for language, want := range map[string]string{
		"": "ゲスト", "ja": "ゲスト", "de-DE,en;q=0.5": "ゲスト", "en": "Guest ", " EN-gb": "Guest ", "en-US,ja;q=0.9": "Guest ",
	} {
		if got := guestName(language); got != want {
			t.Errorf("guestName(%q) = %q, want %q", language, got, want)
		}
	}
}
