package config

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxRoomLetters = 64

// parseRoom accepts what a request may call a room, or nobody could ask for the default one by its name.
func parseRoom(s string) (string, error) {
	room, ok := CleanRoom(s)
	if !ok {
		return "", errors.New("want 1 to 64 letters, digits, - and _")
	}
	return room, nil
}

// CleanRoom brings the name of a room, in a setting or in a request, into the one form it is known by (NFKC): 1 to 64 letters,
// digits, - and _ of any script.
func CleanRoom(s string) (string, bool) {
	if len(s) > 4*maxRoomLetters || !utf8.ValidString(s) {
		return "", false
	}
	if norm.NFKC.QuickSpanString(s) < len(s) { // most are as they should be, and String takes much of a small stack
		s = norm.NFKC.String(s)
	}
	n := 0
	for i, r := range s {
		mark := unicode.IsMark(r) && i > 0 // part of the letter before it, as in Hindi or Thai
		if !mark && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' {
			return "", false
		}
		if unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return "", false // nobody could tell the room from another
		}
		n++
	}
	return s, n >= 1 && n <= maxRoomLetters
}
