package rules

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A program that imports hub, hub/journaltest or wsproto gets the standard library and
// nothing else: no store, no metrics, no command line.
func TestLibrariesStandAlone(t *testing.T) {
	allowed := map[string][]string{
		"hub":             nil,
		"hub/journaltest": {module + "hub"},
		"wsproto":         nil,
	}
	for library, also := range allowed {
		deps := list(t, module+library)
		for _, d := range deps {
			own := d == module+library || slices.Contains(also, d)
			if first, _, _ := strings.Cut(d, "/"); strings.Contains(first, ".") && !own {
				t.Errorf("%s brings %s along", library, d)
			}
		}
	}
	// The binary has metrics: if this list did not show it, the lists above would say nothing.
	if deps := strings.Join(list(t, module+"cmd/doyasa"), "\n"); !strings.Contains(deps, "github.com/prometheus/client_golang/prometheus") {
		t.Error("the binary has no metrics: is this list what it seems?")
	}
}

// A template engine calls methods by name, so the linker would keep all methods that exist,
// and the image would be 4 MB larger.
func TestNoTemplates(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
	out, err := exec.Command("go", "build", "-o", t.TempDir()+"/doyasa", "-ldflags=-dumpdep", module+"cmd/doyasa").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for l := range strings.Lines(string(out)) {
		if from, _, found := strings.Cut(l, " -> "); found && strings.HasSuffix(from, "<ReflectMethod>") && strings.HasPrefix(from, "text/template.") {
			t.Fatalf("text/template is linked, by way of %s", strings.TrimSpace(l))
		}
	}
}

func list(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
