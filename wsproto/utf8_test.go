package wsproto

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// canBecomeText reports, by the standard library's word alone, whether p, the beginning of one character, is valid UTF-8 or becomes so
// with bytes after it. What those may be is bounded by these values (RFC 3629 §4).
func canBecomeText(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	for _, c := range []byte{0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF} {
		if len(p) < 4 && canBecomeText(append(bytes.Clone(p), c)) {
			return true
		}
	}
	return false
}

// TestUTF8EveryBeginning feeds every sequence of two bytes, and after those that may go on the bounds of what a third and fourth may be,
// and holds each step against unicode/utf8. What no valid sequence begins with must fail at that byte.
func TestUTF8EveryBeginning(t *testing.T) {
	var every []byte
	for c := range 256 {
		every = append(every, byte(c))
	}
	bounds := []byte{0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}

	var walk func(u utf8Checker, p []byte)
	walk = func(u utf8Checker, p []byte) {
		choices := every
		if len(p) >= 2 {
			choices = bounds
		}
		for _, c := range choices {
			next, q := u, append(bytes.Clone(p), c)
			got := next.write(q[len(p):])
			if want := canBecomeText(q); got != want {
				t.Fatalf("write(% x) byte by byte = %v, want %v", q, got, want)
			}
			if got && next.complete() != utf8.Valid(q) {
				t.Fatalf("complete() after % x = %v, want %v", q, next.complete(), utf8.Valid(q))
			}
			if got && !next.complete() {
				walk(next, q)
			}
		}
	}
	walk(utf8Checker{}, nil)
}

func FuzzUTF8(f *testing.F) {
	for _, s := range []string{
		"", "どやさ", "a\u00e9\u3042🍋", "\xff", "\xc0\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80",
		strings.Repeat("a", 70) + "\xe3\x81", "\u0000\uFFFF\U0010FFFF", "\x80", "\xe3\x81\xe3\x81\xa9",
	} {
		f.Add([]byte(s), uint8(len(s)/2), uint8(1))
	}
	f.Fuzz(func(t *testing.T, p []byte, first, second uint8) {
		var whole utf8Checker
		ok := whole.write(p)
		if (ok && whole.complete()) != utf8.Valid(p) {
			t.Fatalf("% x: write %v, complete %v, utf8.Valid %v", p, ok, whole.complete(), utf8.Valid(p))
		}
		i := min(int(first), len(p))
		j := min(i+int(second), len(p))
		var pieces utf8Checker
		got := pieces.write(p[:i]) && pieces.write(p[i:j]) && pieces.write(p[j:])
		if got != ok || ok && pieces.missing != whole.missing {
			t.Fatalf("% x cut at %d and %d: write %v, %d missing; whole: %v, %d", p, i, j, got, pieces.missing, ok, whole.missing)
		}
		var bytewise utf8Checker
		got = true
		for k := 0; k < len(p) && got; k++ {
			got = bytewise.write(p[k : k+1])
		}
		if got != ok {
			t.Fatalf("% x byte by byte: %v, whole: %v", p, got, ok)
		}
	})
}

// What is wrong is found wherever it stands in a long text, and what is right is not taken for wrong.
func TestUTF8Long(t *testing.T) {
	for at := range 200 {
		for _, c := range []string{"\u00e9", "\u3042", "🍋", "\xff", "\x80", "\xe3\x81"} {
			p := []byte(strings.Repeat("a", at) + c + strings.Repeat("a", 200-at))
			var u utf8Checker
			if got, want := u.write(p) && u.complete(), utf8.Valid(p); got != want {
				t.Fatalf("%q behind %d bytes: %v, want %v", c, at, got, want)
			}
		}
	}
}
