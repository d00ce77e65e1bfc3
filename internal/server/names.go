package server

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

const (
	maxNameGraphemes = 32
	maxNameBytes     = 256 // 32 graphemes of a family emoji each are no name
)

// cleanName brings the name of a person into a form safe to show: 1 to 32 graphemes,
// nothing that controls a terminal or turns the line around, nothing invisible alone.
func cleanName(s string) (string, bool) {
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
			visible = visible || r == ' ' || unicode.IsGraphic(r) && !unicode.IsMark(r) && !unicode.Is(blank, r)
		}
		if n++; !visible || n > maxNameGraphemes {
			return "", false
		}
	}
	return s, true
}

// blank are letters by their category that show nothing.
var blank = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x115F, Hi: 0x1160, Stride: 1}, // Hangul fillers
	{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // empty Braille pattern
	{Lo: 0x3164, Hi: 0x3164, Stride: 1},
	{Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
}}
