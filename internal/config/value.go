package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// value is one field of a Config as text. All sources of settings, including the file, give text, so a size is written in the same way
// everywhere.
type value interface {
	kind() string     // text, list, integer, size or duration
	set(string) error // the error says what is allowed; the caller adds the key and the text
	text() string     // a text that set accepts
	yaml() string     // the same value as it is written in a file
}

// text is a field of text. parse checks the text and brings it into its one form.
type text struct {
	p     *string
	parse func(string) (string, error)
}

func (t text) kind() string { return "text" }
func (t text) text() string { return *t.p }
func (t text) yaml() string { return strconv.Quote(*t.p) }

func (t text) set(s string) error {
	v, err := t.parse(s)
	if err != nil {
		return err
	}
	*t.p = v
	return nil
}

// list is a field of several texts. parse checks each and brings it into its one form. As one text they are separated by commas.
type list struct {
	p       *[]string
	parse   func(string) (string, error)
	example string
}

func (l list) kind() string { return "list" }
func (l list) text() string { return strings.Join(*l.p, ",") }

func (l list) yaml() string {
	quoted := make([]string, len(*l.p))
	for i, s := range *l.p {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (l list) set(s string) error {
	var parsed []string
	for item := range strings.SplitSeq(s, ",") {
		if s == "" {
			break
		}
		v, err := l.parse(strings.TrimSpace(item))
		if err != nil {
			return err
		}
		if !slices.Contains(parsed, v) {
			parsed = append(parsed, v)
		}
	}
	*l.p = parsed
	return nil
}

// number is a field with a whole number from min to max. A size may have a unit.
type number[T int | int64] struct {
	p        *T
	min, max T
	size     bool
}

func integer(p *int, min, max int) value         { return number[int]{p, min, max, false} }
func size[T int | int64](p *T, min, max T) value { return number[T]{p, min, max, true} }
func (n number[T]) text() string                 { return n.format(*n.p) }
func (n number[T]) yaml() string                 { return n.text() }
func (n number[T]) kind() string {
	if n.size {
		return "size"
	}
	return "integer"
}

// format writes a multiple of 1 MiB with the unit, and everything else in bytes.
func (n number[T]) format(v T) string {
	if n.size && v != 0 && v%mib == 0 {
		return fmt.Sprintf("%dMiB", v/mib)
	}
	return strconv.FormatInt(int64(v), 10)
}

var numberForm = regexp.MustCompile(`^(0|[1-9][0-9]*)(B|KiB|MiB|GiB)?$`)

func (n number[T]) set(s string) error {
	m := numberForm.FindStringSubmatch(s)
	if m == nil || !n.size && m[2] != "" {
		return n.want()
	}
	v, err := strconv.ParseInt(m[1], 10, 64)
	unit := map[string]int64{"": 1, "B": 1, "KiB": kib, "MiB": mib, "GiB": gib}[m[2]]
	if err != nil || v > math.MaxInt64/unit || v*unit < int64(n.min) || v*unit > int64(n.max) {
		return n.want()
	}
	*n.p = T(v * unit)
	return nil
}

func (n number[T]) want() error {
	if n.size {
		return fmt.Errorf("want a size from %s to %s, a whole number of bytes, or one followed by B, KiB, MiB or GiB",
			n.format(n.min), n.format(n.max))
	}
	return fmt.Errorf("want a whole number from %d to %d", n.min, n.max)
}

// duration is a field with a time from 1 ms to max. If zero is true it may also be 0.
type duration struct {
	p    *time.Duration
	zero bool
	max  time.Duration
}

func (d duration) kind() string { return "duration" }
func (d duration) text() string { return d.p.String() }
func (d duration) yaml() string { return d.text() }

var durationForm = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

func (d duration) set(s string) error {
	v, err := time.ParseDuration(s)
	ok := v >= time.Millisecond && v <= d.max || d.zero && v == 0
	if err != nil || !ok || !durationForm.MatchString(s) {
		least := "1ms"
		if d.zero {
			least = "0s, or from 1ms"
		}
		return fmt.Errorf("want a duration with its unit (ms, s, m, h) such as 1m30s, %s to %gh", least, d.max.Hours())
	}
	*d.p = v
	return nil
}

// oneOf accepts only the listed words.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("want %s", strings.Join(words, ", "))
		}
		return s, nil
	}
}

// optional accepts an empty text and everything that parse accepts.
func optional(parse func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return parse(s)
	}
}

// parseStore accepts the stores that a history can have.
func parseStore(s string) (string, error) {
	if s == "nats" {
		return "", errors.New("a history that several servers share is not there yet; want memory or embedded")
	}
	return oneOf("memory", "embedded")(s)
}

// parseSync accepts the only value that history.sync still has.
func parseSync(s string) (string, error) {
	if s != "always" {
		return "", errors.New("history.sync is gone, because a message is on the disk before anybody sees it; want always, or remove the line")
	}
	return s, nil
}

// credentials matches the user and password before the @ of an address. They may contain line ends.
var credentials = regexp.MustCompile(`(?s)^([a-z]+://)?.*@`)

// maxShown is how many bytes of a text an error shows.
const maxShown = 300

// Hidden returns the text of a setting as it may be shown in an error: without the user and password of an address, and cut off if it is
// long.
func Hidden(text string) string {
	text = credentials.ReplaceAllString(text, "${1}***@")
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// parsePath accepts any path. Whether the path can be used is found when it is used.
func parsePath(s string) (string, error) {
	if s == "" {
		return "", errors.New("want the name of a folder")
	}
	return s, nil
}

// parseFolder accepts any text. Load checks whether the folder exists.
func parseFolder(s string) (string, error) { return s, nil }

// printable refuses bytes that are not UTF-8 and control characters: they cannot be part of a setting, and would disturb a log.
func printable(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("want UTF-8")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("want no control characters")
	}
	return nil
}
