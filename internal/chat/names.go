package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

const (
	maxNameGraphemes = 32
	maxNameBytes     = 256 // a limit in bytes as well, because one grapheme, such as an emoji of a family, can have many
)

// CleanName brings the name of a person into a form that is safe to show. The result has 1 to 32 graphemes.
// None of them controls a terminal, reverses the direction of the line, or is invisible on its own.
func CleanName(s string) (string, bool) {
	if len(s) > 4*maxNameBytes || !utf8.ValidString(s) {
		return "", false
	}
	if norm.NFC.QuickSpanString(s) < len(s) { // see config.CleanRoom
		s = norm.NFC.String(s)
	}
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxNameBytes {
		return "", false
	}
	graphemes := uniseg.NewGraphemes(s)
	n := 0
	for graphemes.Next() {
		visible := false
		for _, r := range graphemes.Runes() {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
				return "", false
			}
			visible = visible || unicode.IsGraphic(r) && !unicode.In(r, unicode.Mn, unicode.Me, blank)
		}
		if n++; !visible || n > maxNameGraphemes {
			return "", false
		}
	}
	return s, true
}

// blank has the characters that Unicode counts as letters or symbols although they show nothing.
var blank = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x115F, Hi: 0x1160, Stride: 1}, // Hangul fillers
	{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // empty Braille pattern
	{Lo: 0x3164, Hi: 0x3164, Stride: 1},
	{Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
}, R32: []unicode.Range32{
	{Lo: 0x16FE4, Hi: 0x16FE4, Stride: 1}, // Khitan filler
	{Lo: 0x1D159, Hi: 0x1D159, Stride: 1}, // null notehead
}}
