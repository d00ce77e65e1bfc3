package rules

import (
	"os/exec"
	"strings"
	"testing"
)

// Whoever imports hub or wsproto gets the standard library and nothing else: no store, no
// metrics, no command line.
func TestLibrariesStandAlone(t *testing.T) {
	for _, library := range []string{"hub", "wsproto"} {
		deps := list(t, module+library)
		for _, d := range deps {
			if first, _, _ := strings.Cut(d, "/"); strings.Contains(first, ".") && d != module+library {
				t.Errorf("%s brings %s along", library, d)
			}
		}
	}
	// The other way round, so that the list is known to say something.
	if deps := strings.Join(list(t, module+"cmd/doyasa"), "\n"); !strings.Contains(deps, "github.com/nats-io/nats-server/v2/server") {
		t.Error("the binary has no store: is this list what it seems?")
	}
}

// A template engine calls methods by name, so the linker must keep all there are: the
// image would be 4 MB larger.
func TestNoTemplates(t *testing.T) {
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
