package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

// A clientError is what a client did wrong with one message. The code is stable; the
// text is for developers, the page has its own in two languages.
type clientError struct {
	code, text string
}

// The codes of `error`.
var (
	errBadJSON     = &clientError{"bad_json", "not one JSON object"}
	errBadType     = &clientError{"bad_type", `"type" must be a string`}
	errUnknownType = &clientError{"unknown_type", `"type" is not one that a client sends`}
	errBadText     = &clientError{"bad_text", `"text" must be a string without control characters other than line ends and tabs`}
	errTextEmpty   = &clientError{"text_empty", "the text is empty"}
	errTextTooLong = &clientError{"text_too_long", "the text has more than limits.text_bytes bytes of UTF-8"}
	errBadID       = &clientError{"bad_id", `"id" must be a UUID in its 36-character form`}
	errBadName     = &clientError{"bad_name", "a name is 1 to 32 characters and nothing invisible"}
	errRateLimited = &clientError{"rate_limited", "too many messages"}
	errBusy        = &clientError{"busy", "the room cannot take more just now"}
	errNotStored   = &clientError{"not_stored", "the history takes no messages at present; what it has can be read"}
	errInternal    = &clientError{"internal", "the message could not be stored"}
)

// refusal is what a client is told about a message that the journal did not take.
func refusal(err error) *clientError {
	switch {
	case errors.Is(err, hub.ErrBusy):
		return errBusy
	case errors.Is(err, hub.ErrUnavailable):
		return errNotStored
	}
	return errInternal
}

// fields are a client's message: keys match exactly, of a doubled one the last counts,
// and what is not known is ignored.
type fields map[string]json.RawMessage

// parseFields reads one JSON object and nothing behind it.
func parseFields(payload []byte) (fields, *clientError) {
	var f fields
	if json.Unmarshal(payload, &f) != nil || f == nil {
		return nil, errBadJSON
	}
	return f, nil
}

// text returns a string field. ok is false when it is there and not a string.
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

// parseSay reads a `say`. The id is zero if the client gave none.
func (f fields) parseSay(textBytes int) (id hub.ID, text string, wrong *clientError) {
	if given, there, _ := f.text("id"); there {
		var ok bool
		if id, ok = parseID(given); !ok {
			return id, "", errBadID
		}
	}
	text, there, ok := f.text("text")
	if !there || !ok {
		return id, "", errBadText
	}
	text, wrong = cleanText(text, textBytes)
	return id, text, wrong
}

// parseID reads a UUID in the form in which it is sent back, apart from case.
func parseID(s string) (hub.ID, bool) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 { // what was parsed of it is nobody's id
		return hub.ID{}, false
	}
	return hub.ID(id), id != uuid.Nil
}

// cleanText brings a text into the form in which it is shown, or tells what is wrong
// with it: line ends are \n, and there are no control characters but those and tabs.
func cleanText(text string, textBytes int) (string, *clientError) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	switch {
	case strings.TrimSpace(text) == "":
		return "", errTextEmpty
	case len(text) > textBytes:
		return "", errTextTooLong
	case strings.ContainsFunc(text, control):
		return "", errBadText
	}
	return text, nil
}
