//go:build linux

package compose_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// skip leaves a test that this machine cannot run; where CI is set, it must be able to.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// output runs a command and returns what it printed, trimmed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(b))
}

// baseImages are the images the Dockerfile builds upon.
func baseImages(t *testing.T, dockerfile string) (names []string) {
	t.Helper()
	b, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(b), -1) {
		if m[1] != "scratch" {
			names = append(names, m[1])
		}
	}
	if len(names) == 0 {
		t.Fatalf("no base image found in %s", dockerfile)
	}
	return names
}

// standIn makes the golang image that the Dockerfile starts from out of this machine's Go, unless the engine has one, so that the
// shipped Dockerfile builds on a machine without a registry or a module proxy. It is gone after the test, with all built upon it.
func standIn(t *testing.T, project, image string) {
	t.Helper()
	if exec.Command("docker", "image", "inspect", image).Run() == nil {
		return
	}
	if !strings.HasPrefix(image, "golang:") {
		t.Fatalf("no stand-in known for the base image %s", image)
	}
	proxy := moduleProxy(t, project)
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeRoot(w, output(t, "go", "env", "GOROOT"), proxy)) }()
	cmd := exec.Command("docker", "import",
		"--change", "ENV PATH=/usr/local/go/bin:/bin HOME=/root GOTOOLCHAIN=local GOPROXY=file:///proxy GOSUMDB=off",
		"-", image)
	cmd.Stdin = r
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, b)
	}
	t.Cleanup(func() { removeWithChildren(t, image) })
}

// moduleProxy returns a folder that holds the modules of the project as a module proxy would serve them.
func moduleProxy(t *testing.T, project string) string {
	t.Helper()
	cache := t.TempDir()
	cmd := exec.Command("go", "mod", "download")
	cmd.Dir = project
	local := "file://" + filepath.Join(output(t, "go", "env", "GOMODCACHE"), "cache", "download")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+cache,
		"GOPROXY="+local+","+output(t, "go", "env", "GOPROXY"))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, b)
	}
	return filepath.Join(cache, "cache", "download")
}

// writeRoot writes the file system of the stand-in: a shell with its libraries, Go, the modules, and a place for temporary files.
func writeRoot(w io.Writer, goroot, proxy string) error {
	tw := tar.NewWriter(w)
	add := func(name, source string) error {
		source, err := filepath.EvalSymlinks(source)
		if err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}); err != nil {
			return err
		}
		f, err := os.Open(source)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(tw, f)
		return err
	}
	addTree := func(name, root string) error {
		return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			return add(filepath.Join(name, strings.TrimPrefix(path, root)), path)
		})
	}
	if err := tw.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir}); err != nil {
		return err
	}
	libraries, err := exec.Command("ldd", "/bin/sh").Output()
	if err != nil {
		return fmt.Errorf("ldd /bin/sh: %w", err)
	}
	err = add("bin/sh", "/bin/sh")
	for s := bufio.NewScanner(bytes.NewReader(libraries)); s.Scan(); {
		for _, path := range strings.Fields(s.Text()) {
			if strings.HasPrefix(path, "/") {
				err = errors.Join(err, add(path[1:], path))
			}
		}
	}
	for _, part := range []string{"bin", "pkg", "src", "lib", "go.env", "VERSION"} {
		err = errors.Join(err, addTree(filepath.Join("usr/local/go", part), filepath.Join(goroot, part)))
	}
	return errors.Join(err, addTree("proxy", proxy), tw.Close())
}

// removeWithChildren removes an image with all that builds left upon it: containers of steps that failed, then layers, the
// youngest first.
func removeWithChildren(t *testing.T, image string) {
	for id := range strings.FieldsSeq(output(t, "docker", "ps", "-aq", "--filter", "ancestor="+image)) {
		output(t, "docker", "rm", "-f", id)
	}
	children := map[string][]string{}
	for id := range strings.FieldsSeq(output(t, "docker", "images", "-aq", "--no-trunc")) {
		parent, err := exec.Command("docker", "image", "inspect", "--format", "{{.Parent}}", id).Output()
		if err == nil { // else somebody else has removed it meanwhile
			p := strings.TrimSpace(string(parent))
			children[p] = append(children[p], id)
		}
	}
	var remove func(id string)
	remove = func(id string) {
		for _, child := range children[id] {
			remove(child)
			output(t, "docker", "rmi", "--no-prune", child)
		}
	}
	remove(output(t, "docker", "image", "inspect", "--format", "{{.Id}}", image))
	output(t, "docker", "rmi", image)
}
