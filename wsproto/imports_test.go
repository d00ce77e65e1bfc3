package wsproto

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowedImports is everything the package needs. None of it can open, wait, lock, log or know the time.
var allowedImports = []string{
	"bytes", "crypto/fips140", "crypto/sha1", "encoding/base64", "encoding/binary", "errors", "iter", "math", "math/bits", "slices", "strconv",
	"strings", "unicode/utf8",
}

// TestPackageStaysPure holds what doc.go promises: the imports above, no goroutine, no channel; and that its list of files is whole.
func TestPackageStaysPure(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if name != "doc.go" && !strings.Contains(string(doc), "//\t"+name+" ") {
			t.Errorf("doc.go does not list %s", name)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			if path := strings.Trim(imp.Path.Value, `"`); !slices.Contains(allowedImports, path) {
				t.Errorf("%s imports %s: wsproto knows bytes only, no socket, clock, lock or logger", name, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s has a goroutine or a channel: wsproto is called, it never runs by itself", name)
			}
			return true
		})
	}
}
