// Package rules tests which packages may import what, beyond the rules that hub and wsproto
// test themselves. It has tests only.
package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/doyasa/doyasa/"

// A rule says which packages alone may import something. Names are of packages in this module, or import
// paths, each with all below it.
type rule struct {
	imported string
	by       []string
	why      string
}

var rules = []rule{
	{module + "hub", []string{"internal/server", "internal/chat", "internal/journal"}, "rooms are used through chat, the HTTP API or a journal; internal/loop moves bytes and internal/limit counts, and neither knows a room"},
	{module + "wsproto", []string{"internal/server", "internal/chat", "internal/bench"}, "besides the load generator only the handshake and chat know frames; internal/loop moves bytes and internal/limit counts, and neither knows a frame"},
	{module + "internal/loop", []string{"internal/chat"}, "chat alone hands connections to a loop; internal/limit counts and knows no connection"},
	{module + "internal/chat", []string{"internal/server", "cmd/doyasa"}, "a connection becomes a member after its handshake, which the server answers; the binary asks it which names an import may have"},
	{module + "internal/limit", []string{"internal/server", "internal/chat"}, "limits are for clients, and only the server and chat meet them"},
	{module + "internal/server", []string{"cmd/doyasa"}, "only the binary starts things; internal/chat is given what it needs and does not know the server"},
	{module + "internal/journal", []string{"cmd/doyasa"}, "only the binary starts things"},
	{module + "internal/journal/seglog", []string{"internal/journal"}, "rooms and server know the interface of a journal, and not how it stores messages"},
	{module + "internal/bench", []string{"cmd/doyasa"}, "only the binary starts a load"},
	{module + "internal/config", []string{"cmd/doyasa", "internal/server", "internal/chat"}, "hub, wsproto, loop and limit have options of their own"},
	{module + "static", []string{"cmd/doyasa"}, "the page is handed to the server"},
	{module + "internal/conntest", nil, "it is for tests"},
	{module + "internal/vectors", nil, "it is for tests"},
	{module + "hub/journaltest", nil, "it is for tests"},
	{"github.com/spf13/", []string{"cmd/doyasa"}, "only the binary reads flags"},
	{"flag", []string{"cmd/doyasa"}, "only the binary reads flags"},
	{"github.com/rs/zerolog", []string{"cmd/doyasa", "internal/server", "internal/chat", "internal/limit"}, "a package that is used by others does not log for them"},
	{"github.com/rs/zerolog/log", nil, "a logger is passed by value; there is no global one"},
	{"log", []string{"cmd/doyasa"}, "zerolog is the logger; net/http alone is given another"},
	{"github.com/prometheus/", []string{"internal/server"}, "the hub, the loops and the sessions count, the server shows it"},
	{"github.com/google/uuid", []string{"cmd/doyasa", "internal/server", "internal/chat", "internal/journal"}, "ids are given where the protocol is spoken"},
	{"encoding/json", []string{"internal/server", "internal/chat", "cmd/doyasa", "internal/config", "internal/journal"}, "JSON is one form of the wire, and the business of chat and the API"},
	{"net/http", []string{"internal/server", "cmd/doyasa"}, "HTTP ends in the server; internal/chat is given a connection after its handshake"},
}

// within reports whether name is top or below it.
func within(name, top string) bool {
	top = strings.TrimSuffix(top, "/")
	return name == top || strings.HasPrefix(name, top+"/")
}

// broken returns the rule that an import breaks.
func broken(pkg, imported string) (rule, bool) {
	for _, r := range rules {
		// A name of the standard library stands for one package only: log is not log/slog.
		applies := within(imported, r.imported) && (strings.Contains(r.imported, ".") || imported == r.imported)
		if applies && !within(module+pkg, r.imported) && !slices.ContainsFunc(r.by, func(by string) bool { return within(pkg, by) }) {
			return r, true
		}
	}
	return rule{}, false
}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := make(map[string]bool) // packages
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (nested == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir // another module, or not Go code
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(relative))
		seen[pkg] = true
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if r, ok := broken(pkg, imported); ok {
				t.Errorf("%s imports %s: %s", relative, imported, r.why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"hub", "wsproto", "internal/loop", "internal/limit", "internal/chat", "internal/server", "cmd/doyasa"} {
		if !seen[pkg] {
			t.Errorf("no files of %s were found: the rules test nothing", pkg)
		}
	}
}

// The rules refuse what they must, and nothing else.
func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		pkg, imported string
		want          bool
	}{
		{"internal/loop", module + "hub", true},
		{"internal/loop", module + "wsproto", true},
		{"hub", module + "wsproto", true},
		{"wsproto", module + "hub", true},
		{"cmd/doyasa", module + "hub", true},
		{"internal/limit", module + "hub", true},
		{"internal/limit", module + "wsproto", true},
		{"internal/limit", module + "internal/loop", true},
		{"internal/limit", module + "internal/chat", true},
		{"internal/chat", module + "internal/server", true},
		{"internal/chat", "net/http", true},
		{"internal/chat", module + "internal/loop", false},
		{"internal/chat", module + "hub", false},
		{"internal/server", module + "internal/chat", false},
		{"internal/server", module + "internal/loop", true},
		{"internal/server", module + "hub", false},
		{"internal/journal/nats", module + "hub", false},
		{"internal/server", module + "hubbub", false},
		{"hub", "github.com/rs/zerolog", true},
		{"internal/server", "github.com/rs/zerolog", false},
		{"internal/server", "github.com/rs/zerolog/log", true},
		{"internal/server", "github.com/spf13/cobra", true},
		{"cmd/doyasa", "github.com/spf13/cobra", false},
		{"hub", "github.com/prometheus/client_golang/prometheus", true},
		{"internal/loop", "github.com/prometheus/client_golang/prometheus", true},
		{"internal/server", "github.com/prometheus/client_golang/prometheus", false},
		{"internal/server", "log", true},
		{"internal/server", "log/slog", false},
		{"internal/loop", "net", false},
		{"internal/loop", "net/http", true},
	} {
		if _, got := broken(tt.pkg, tt.imported); got != tt.want {
			t.Errorf("%s imports %s: broken %v, want %v", tt.pkg, tt.imported, got, tt.want)
		}
	}
}
