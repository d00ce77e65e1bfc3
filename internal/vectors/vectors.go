// Package vectors reads the test vectors in wsproto/testdata for the tests of the codec, of the server, and of the running program.
// README.md in that folder describes the vectors. The package must not know the project's own codec, because the vectors test it. So it
// returns a vector as bytes and numbers.
package vectors

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Vector is one case of a file.
type Vector struct {
	Name   string
	Fields [][2]string // key and value, in order
}

// Read reads a file. It fails the test when the file has no case, a case without a section, or two cases with one name.
func Read(t testing.TB, file string) []Vector {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []Vector
	names := map[string]bool{}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		var v Vector
		for line := range strings.SplitSeq(block, "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				t.Fatalf("%s: line %q has no key", file, line)
			}
			v.Fields = append(v.Fields, [2]string{key, strings.TrimPrefix(value, " ")})
		}
		if v.Fields == nil {
			continue
		}
		v.Name = v.Get("name")
		if v.Name == "" || v.Get("section") == "" || names[v.Name] {
			t.Fatalf("%s: case %q: name missing or double, or section missing", file, v.Name)
		}
		names[v.Name] = true
		all = append(all, v)
	}
	if len(all) == 0 {
		t.Fatalf("%s holds no case", file)
	}
	return all
}

// All returns the values of a key in order.
func (v Vector) All(key string) (values []string) {
	for _, f := range v.Fields {
		if f[0] == key {
			values = append(values, f[1])
		}
	}
	return values
}

// Get returns the first value of a key, "" if there is none.
func (v Vector) Get(key string) string {
	if all := v.All(key); len(all) > 0 {
		return all[0]
	}
	return ""
}

// Number returns the decimal value of a key. If the case does not have the key, it returns the parameter otherwise.
func (v Vector) Number(t testing.TB, key string, otherwise int) int {
	t.Helper()
	s := v.Get(key)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %s: %v", v.Name, key, err)
	}
	return n
}

// Bytes returns the bytes of all values of a key in order.
func (v Vector) Bytes(t testing.TB, key string) []byte {
	t.Helper()
	return v.Parse(t, strings.Join(v.All(key), " "))
}

// Parse reads tokens such as 81, 8105, "Hello" and 00*125.
func (v Vector) Parse(t testing.TB, s string) []byte {
	t.Helper()
	b := []byte{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var token []byte
		if quoted, ok := strings.CutPrefix(s, `"`); ok {
			var text string
			if text, s, ok = strings.Cut(quoted, `"`); !ok {
				t.Fatalf("%s: quote not closed in %q", v.Name, quoted)
			}
			token = []byte(text)
		} else {
			end := strings.IndexAny(s+" ", " *")
			var err error
			if token, err = hex.DecodeString(s[:end]); err != nil {
				t.Fatalf("%s: %v in %q", v.Name, err, s)
			}
			s = s[end:]
		}
		times := 1
		if count, ok := strings.CutPrefix(s, "*"); ok {
			count, s, _ = strings.Cut(count, " ")
			var err error
			if times, err = strconv.Atoi(count); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
		}
		b = append(b, bytes.Repeat(token, times)...)
	}
	return b
}

// Head changes a sample, which is the lines of a request or response, as the case says, and returns the bytes of the result.
func (v Vector) Head(t testing.TB, sample []string) []byte {
	t.Helper()
	lines := slices.Clone(sample)
	remove := func(name string) {
		rest := slices.DeleteFunc(lines[1:], func(line string) bool {
			field, _, _ := strings.Cut(line, ":")
			return strings.EqualFold(field, name)
		})
		lines = lines[:1+len(rest)]
	}
	for _, f := range v.Fields {
		switch f[0] {
		case "line":
			lines[0] = f[1]
		case "set":
			name, _, _ := strings.Cut(f[1], ":")
			remove(name)
			lines = append(lines, f[1])
		case "add":
			lines = append(lines, f[1])
		case "raw":
			lines = append(lines, string(v.Parse(t, f[1])))
		case "remove":
			remove(f[1])
		}
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}
