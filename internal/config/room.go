package config

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxRoomLetters = 64

// parseRoom accepts the same names as requests do. Otherwise no request could name the default room.
func parseRoom(s string) (string, error) {
	room, ok := CleanRoom(s)
	if !ok {
		return "", errors.New("want 1 to 64 letters, digits, - and _")
	}
	return room, nil
}

// CleanRoom brings the name of a room, in a setting or in a request, into its one form (NFKC). A name has 1 to 64 letters, digits, - and _
// of any script.
func CleanRoom(s string) (string, bool) {
	if len(s) > 4*maxRoomLetters || !utf8.ValidString(s) {
		return "", false
	}
	if norm.NFKC.QuickSpanString(s) < len(s) { // most names are normalised already, and String would make the goroutine's stack grow
		s = norm.NFKC.String(s)
	}
	n := 0
	for i, r := range s {
		mark := unicode.IsMark(r) && i > 0 // a mark belongs to the letter before it, as in Hindi or Thai
		if !mark && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' {
			return "", false
		}
		if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return "", false // this character is invisible, so two different rooms would look the same
		}
		n++
	}
	return s, n >= 1 && n <= maxRoomLetters
}
