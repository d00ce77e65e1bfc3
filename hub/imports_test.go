package hub

import (
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// A Go program that imports hub gets rooms and nothing else: no server, no format, no
// package of a third party.
func TestImports(t *testing.T) {
	forbidden := map[string]string{
		"net":           "hub hands out bytes; its caller writes them to sockets",
		"encoding/json": "hub is given encoders (Form) and knows no format",
		"log":           "hub has no logger; it returns errors, or tells an Owner",
		"os":            "hub touches neither files, environment nor signals",
		"syscall":       "hub is portable and knows no descriptors",
		"unsafe":        "ownership protects shared bytes, not tricks",
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
		t.Error("no files were found")
	}
}
