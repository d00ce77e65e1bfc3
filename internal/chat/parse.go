package chat

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

// fields are the keys of a client's frame. Keys match exactly, the last value counts if a key is given twice,
// and unknown keys are ignored.
type fields map[string]json.RawMessage

// parseFields reads one JSON object. Any text after the object is an error.
func parseFields(payload []byte) (fields, *Code) {
	var f fields
	if json.Unmarshal(payload, &f) != nil || f == nil {
		return nil, BadJSON
	}
	return f, nil
}

// text returns the text that a key has. ok is false if the key is there and its value is not a string.
func (f fields) text(key string) (s string, there, ok bool) {
	raw, there := f[key]
	if !there {
		return "", false, true
	}
	if !bytes.HasPrefix(raw, []byte(`"`)) || json.Unmarshal(raw, &s) != nil {
		return "", true, false
	}
	return s, true, true
}

// parseSay reads a `say`. The id is zero if the client did not give one.
func (f fields) parseSay(textBytes int) (id hub.ID, text string, wrong *Code) {
	if given, there, _ := f.text("id"); there {
		var ok bool
		if id, ok = ParseID(given); !ok {
			return id, "", BadID
		}
	}
	text, there, ok := f.text("text")
	if !there || !ok {
		return id, "", BadText
	}
	text, wrong = CleanText(text, textBytes)
	return id, text, wrong
}

// ParseID reads a UUID in the form in which the server sends it, in lower or upper case.
func ParseID(s string) (hub.ID, bool) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 { // uuid.Parse also accepts other forms, which have other lengths
		return hub.ID{}, false
	}
	return hub.ID(id), id != uuid.Nil
}

// CleanText brings a text into the form in which it is shown, or returns what is wrong with the text. Every
// kind of line end becomes \n. Of the other control characters only tabs are allowed. A text in which nothing can be seen
// counts as empty.
func CleanText(text string, textBytes int) (string, *Code) {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if strings.ContainsFunc(text, control) {
		text = lineEnds.Replace(text)
	}
	switch {
	case !strings.ContainsFunc(text, canBeSeen):
		return "", TextEmpty
	case len(text) > textBytes:
		return "", TextTooLong
	case strings.ContainsFunc(text, control):
		return "", BadText
	}
	return text, nil
}

// canBeSeen tells whether a reader can see a character. Spaces and default-ignorable characters of Unicode, such as
// joiners and fillers, cannot be seen on their own; of the format characters only the Arabic number signs and
// their like can. Control characters are not told apart here, because CleanText refuses them.
func canBeSeen(r rune) bool {
	if unicode.IsSpace(r) || unicode.In(r, blank, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return false
	}
	return !unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// lineEnds replaces the line ends of other systems, and the control characters at which Unicode Standard
// Annex 14 breaks a line.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n")
