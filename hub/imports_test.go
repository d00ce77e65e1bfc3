package hub

import (
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// A Go developer who imports hub gets the room and nothing else: no server, no format,
// no third party.
func TestImports(t *testing.T) {
	forbidden := map[string]string{
		"net":           "hub hands out bytes; who writes them to sockets is the caller's business",
		"encoding/json": "hub is given encoders (Form) and knows no format",
		"log":           "hub has no logger; what matters is returned or told to an Owner",
		"os":            "hub touches neither files, environment nor signals",
		"syscall":       "hub is portable and knows no descriptors",
		"unsafe":        "shared bytes are kept apart by ownership, not by tricks",
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, spec := range f.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s: hub imports the standard library only", name, path)
			}
			for banned, reason := range forbidden {
				if path == banned || strings.HasPrefix(path, banned+"/") {
					t.Errorf("%s imports %s: %s", name, path, reason)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no files were looked at")
	}
}
