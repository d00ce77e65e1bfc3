package static

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// budget is the most bytes that the page may have, without comments. Comments do not count: a bound that counts them is kept by making
// them too short to be understood.
const budget = 90_000

// comments are those of JavaScript and CSS, which stand on lines of their own or after some code.
var comments = regexp.MustCompile(`(?ms)^[\t ]*/\*.*?\*/\n?|[\t ]+/\*[^\n]*?\*/$|(?:^|[\t ]+)// [^\n]*$`)

// files reads every embedded file.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Files, name)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSize(t *testing.T) {
	total, code := 0, 0
	for name, text := range files(t) {
		total += len(text)
		code += len(comments.ReplaceAllString(text, ""))
		if strings.Contains(name, "test") || strings.HasSuffix(name, ".go") || name == "package.json" {
			t.Errorf("%s is embedded, and is not part of the page", name)
		}
		if n := strings.Count(text, "\n"); n > 300 {
			t.Errorf("%s has %d lines, want at most 300", name, n)
		}
	}
	t.Logf("the page has %d bytes, without comments %d", total, code)
	if code > budget {
		t.Errorf("without comments the page has %d bytes, want at most %d", code, budget)
	}
}

// TestReferences follows every src, href and import: each must be embedded, and nothing may be loaded from elsewhere.
func TestReferences(t *testing.T) {
	all := files(t)
	used := map[string]bool{"index.html": true}
	want := func(from, to string) {
		used[to] = true
		if _, ok := all[to]; !ok {
			t.Errorf("%s refers to %s, which is not embedded", from, to)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(all["index.html"], -1) {
		switch ref := m[1]; {
		case ref == "" || strings.HasPrefix(ref, "#"):
		case strings.HasPrefix(ref, "/"):
			want("index.html", ref[1:])
		default:
			t.Errorf("index.html refers to %q, want an absolute path: it is served below /r/ too", ref)
		}
	}
	imports := regexp.MustCompile(`(?m)^import .* from '([^']+)';$`)
	for name, text := range all {
		if strings.HasSuffix(name, ".js") {
			for _, m := range imports.FindAllStringSubmatch(text, -1) {
				want(name, path.Join(path.Dir(name), m[1]))
			}
		}
		if strings.HasSuffix(name, ".css") && regexp.MustCompile(`url\(|@import|@font-face`).MatchString(text) {
			t.Errorf("%s loads something", name)
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("%s is embedded, and nothing refers to it", name)
		}
	}
}

// TestPreloads checks that the modulepreload lines name exactly the modules that main.js does not import itself. The browser would find
// them only after it has loaded those that main.js imports.
func TestPreloads(t *testing.T) {
	all := files(t)
	for name := range all {
		if !strings.HasPrefix(name, "js/") || name == "js/main.js" || name == "js/early.js" {
			continue
		}
		direct := strings.Contains(all["js/main.js"], "'./"+strings.TrimPrefix(name, "js/")+"'")
		preloaded := strings.Contains(all["index.html"], `<link rel="modulepreload" href="/`+name+`">`)
		if direct == preloaded {
			t.Errorf("%s: imported by main.js %v, preloaded %v; want exactly one", name, direct, preloaded)
		}
	}
}

// TestPolicy looks for code that the Content-Security-Policy with Trusted Types would refuse, and for markup made from text.
func TestPolicy(t *testing.T) {
	refused := map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`(?i)<style|<script>|\son\w+=|\sstyle=|javascript:`),
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|setAttribute\('style'`),
	}
	for name, text := range files(t) {
		if re := refused[path.Ext(name)]; re != nil {
			if found := re.FindString(text); found != "" {
				t.Errorf("%s holds %q", name, found)
			}
		}
	}
}

// TestModules runs the tests of the modules, which need no browser.
func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is not installed, and CI may not skip this")
		}
		t.Skip("node is not installed: the page's modules are not tested")
	}
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatalf("tests = %v, %v; want some", tests, err)
	}
	out, err := exec.Command(node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
