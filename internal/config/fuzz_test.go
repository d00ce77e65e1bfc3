package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// FuzzParseFile: no file makes the reader panic; every line of an error begins with the file and a line that exists; settings
// are of known keys; and what they make prints as a file that reads back to the same.
func FuzzParseFile(f *testing.F) {
	b, err := os.ReadFile(shipped)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(b), "", "listen: ':1'\n", "log: {level: debug}\n", "allowed_origins:\n  - https://a\n  - 'null'\n",
		"\ufefflog:\r\n  level: debug\r\n", "a: &b [*b]\n", "? a\n: b\n", "<<: {}\n", "%YAML 1.2\n---\n", "a: |\n  b\n", "- - -\n",
		"limits:\n  burst: !!int 3\n", "static_dir: \"\\u3042\\x41\"\n", "listen: 'a''b'\n", "rooms: {default: 007}\n", "\r0",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2000 { // the parser's time grows with the square of nesting; maxFile is for people, not for a fuzzer
			return
		}
		settings, err := parseFile("f", b)
		if err != nil {
			lines := strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b)), "\n") + 1
			for line := range strings.SplitSeq(err.Error(), "\n") {
				rest, ok := strings.CutPrefix(line, "f:")
				n := 0
				for ; rest != "" && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
					n = 10*n + int(rest[0]-'0')
				}
				if !ok || n < 1 || n > lines || !strings.HasPrefix(rest, ": ") {
					t.Errorf("parseFile(%q): error line %q, want f:N: with N from 1 to %d", b, line, lines)
				}
			}
			return
		}
		l := &Loaded{Config: Default()}
		for _, s := range settings {
			if _, ok := findKey(s.key.Path); !ok {
				t.Errorf("parseFile(%q) sets %q, which is no key", b, s.key.Path)
			}
			_ = s.key.set(&l.Config, s.text)
		}
		printed := l.YAML()
		again := &Loaded{Config: Default()}
		settings, err = parseFile("g", []byte(printed))
		if err != nil {
			t.Fatalf("%v in\n%s", err, printed)
		}
		for _, s := range settings {
			if err := s.key.set(&again.Config, s.text); err != nil {
				t.Errorf("%s = %q does not read back: %v", s.key.Path, s.text, err)
			}
		}
		if !reflect.DeepEqual(again.Config, l.Config) {
			t.Errorf("parseFile(%q) gives\n%+v, which prints and reads back as\n%+v", b, l.Config, again.Config)
		}
	})
}
