package wsproto

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// vector is one case of a file in testdata, whose README.md describes them.
type vector struct {
	name   string
	fields [][2]string
}

// vectors reads a file of testdata and fails the test when it holds no case, or one without name or section.
func vectors(t testing.TB, file string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	names := map[string]bool{}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var v vector
		for line := range strings.SplitSeq(block, "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				t.Fatalf("%s: line %q has no key", file, line)
			}
			v.fields = append(v.fields, [2]string{key, strings.TrimPrefix(value, " ")})
		}
		if v.fields == nil {
			continue
		}
		v.name = v.get("name")
		if v.name == "" || v.get("section") == "" || names[v.name] {
			t.Fatalf("%s: case %q: name missing or double, or section missing", file, v.name)
		}
		names[v.name] = true
		all = append(all, v)
	}
	if len(all) == 0 {
		t.Fatalf("%s holds no case", file)
	}
	return all
}

// all returns the values of a key in order.
func (v vector) all(key string) (values []string) {
	for _, f := range v.fields {
		if f[0] == key {
			values = append(values, f[1])
		}
	}
	return values
}

// get returns the one value of a key, "" if there is none.
func (v vector) get(key string) string {
	if all := v.all(key); len(all) > 0 {
		return all[0]
	}
	return ""
}

// number returns a decimal value, or otherwise if the key is not there.
func (v vector) number(t testing.TB, key string, otherwise int) int {
	t.Helper()
	s := v.get(key)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %s: %v", v.name, key, err)
	}
	return n
}

// code returns the close code under error, 0 for none.
func (v vector) code(t testing.TB) CloseCode {
	t.Helper()
	return CloseCode(v.number(t, "error", 0))
}

// bytes returns the bytes of all values of a key, one after the other.
func (v vector) bytes(t testing.TB, key string) []byte {
	t.Helper()
	return v.parseBytes(t, strings.Join(v.all(key), " "))
}

// parseBytes reads tokens such as 81, 8105, "Hello" and 00*125.
func (v vector) parseBytes(t testing.TB, s string) []byte {
	t.Helper()
	b := []byte{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var token []byte
		if quoted, ok := strings.CutPrefix(s, `"`); ok {
			var text string
			if text, s, ok = strings.Cut(quoted, `"`); !ok {
				t.Fatalf("%s: quote not closed in %q", v.name, quoted)
			}
			token = []byte(text)
		} else {
			end := strings.IndexAny(s+" ", " *")
			var err error
			if token, err = hex.DecodeString(s[:end]); err != nil {
				t.Fatalf("%s: %v in %q", v.name, err, s)
			}
			s = s[end:]
		}
		times := 1
		if count, ok := strings.CutPrefix(s, "*"); ok {
			count, s, _ = strings.Cut(count, " ")
			var err error
			if times, err = strconv.Atoi(count); err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
		}
		b = append(b, bytes.Repeat(token, times)...)
	}
	return b
}

func TestVectorBytes(t *testing.T) {
	v := vector{name: "bytes"}
	got := v.parseBytes(t, ` 81 0a0B "a b"  "c"*3 00*2 "" `)
	if want := "\x81\x0a\x0ba bccc\x00\x00"; string(got) != want {
		t.Errorf("parseBytes = %q, want %q", got, want)
	}
}
