//go:build linux

package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// tmpfs mounts a file system of a size.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting needs root")
		}
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// A full disk: what cannot be stored is refused, each message with one answer; the
// operator is told once; what was stored can be read, now and after a restart with space.
func TestFullDisk(t *testing.T) {
	for _, sync := range []time.Duration{0, time.Second} {
		dir := tmpfs(t, "1m")
		reports := make(chan error, 100) // Report sends, never closed
		j := openIn(t, Options{Dir: dir, Sync: sync, Report: func(err error) { reports <- err }})
		back := make(chan hub.Entry, 10_000) // deliver sends, never closed
		if _, err := j.Open("r", func(e hub.Entry) { back <- e }); err != nil {
			t.Fatal(err)
		}
		var stored []uint64
		refused := 0
		for refused < 5 {
			j.Append("r", &hub.Message{Payload: make([]byte, 5000), At: time.Now().UnixMilli()})
			switch e := <-back; {
			case e.Err == nil && refused > 0:
				t.Fatal("stored after a refusal, with a hole in what is known")
			case e.Err == nil:
				stored = append(stored, e.Message.Seq)
			case !errors.Is(e.Err, hub.ErrUnavailable):
				t.Fatalf("refused with %v, want ErrUnavailable", e.Err)
			default:
				refused++
			}
		}
		if len(stored) < 100 {
			t.Errorf("%d messages of 5 kB in 1 MiB, want more", len(stored))
		}
		wantLine(t, <-reports, dir, "disk is full", "make space")
		if n := len(reports); n > 0 {
			t.Errorf("%d more reports, want one: %v", n, <-reports)
		}
		check := func(j *Journal) {
			j.mu.Lock()
			for i := range j.index.rooms["r"].kept {
				j.index.rooms["r"].kept[i].message = nil // from the disk
			}
			j.mu.Unlock()
			var got []uint64
			for _, m := range page(t, j, "r", all).Messages {
				got = append(got, m.Seq)
			}
			// One that was refused may have been stored all the same.
			if len(got) < len(stored) || !slices.Equal(got[:len(stored)], stored) {
				t.Errorf("%d messages, want the %d that were stored", len(got), len(stored))
			}
		}
		check(j)
		j.Stop()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
			t.Fatal(err)
		}
		j = openIn(t, Options{Dir: dir})
		check(j)
		say(t, j, "r", 0, 100)
		stop(t, j)
	}
}

// From the first byte on there is no space.
func TestFullFromTheStart(t *testing.T) {
	dir := tmpfs(t, "1m")
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	_, err := OpenEmbedded(Options{Dir: filepath.Join(dir, "data")})
	wantLine(t, err, dir, "disk is full", "make space")
}

func TestReadOnly(t *testing.T) {
	dir := tmpfs(t, "10m")
	j := openIn(t, Options{Dir: dir})
	say(t, j, "r", 0, 10)
	stop(t, j)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := OpenEmbedded(Options{Dir: dir})
	wantLine(t, err, dir, "read-only", "mount it writable")
}

// Who is not root and not the owner is told who is, and how to change that. This test
// runs itself again as somebody else.
func TestForeign(t *testing.T) {
	if dir := os.Getenv("JOURNAL_FOREIGN"); dir != "" {
		j, err := OpenEmbedded(Options{Dir: dir})
		if err == nil {
			j.Stop()
			return
		}
		os.Stdout.WriteString("LINE " + err.Error() + "\n")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("becoming somebody else needs root")
	}
	base := t.TempDir()
	for dir := base; dir != "/"; dir = filepath.Dir(dir) { // t.TempDir closes its parents to others
		if strings.HasPrefix(dir, os.TempDir()+"/") {
			os.Chmod(dir, 0o755)
		}
	}
	used := filepath.Join(base, "used")
	j := openIn(t, Options{Dir: used})
	say(t, j, "r", 0, 1)
	stop(t, j)
	inner := filepath.Join(base, "inner")
	if err := os.CopyFS(inner, os.DirFS(used)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(inner, func(name string, d fs.DirEntry, err error) error {
		if d.IsDir() || !strings.HasSuffix(name, ".blk") {
			return os.Chown(name, 12345, 12345)
		}
		return nil
	})
	program := filepath.Join(base, "test")
	if err := os.Link(os.Args[0], program); err != nil {
		b, _ := os.ReadFile(os.Args[0])
		if err := os.WriteFile(program, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for dir, owner := range map[string]string{used: "user 0", filepath.Join(base, "new"): "user 0", inner: "user 0 (" + inner + "/jetstream"} {
		c := exec.Command(program, "-test.run=^TestForeign$")
		c.Env = append(os.Environ(), "JOURNAL_FOREIGN="+dir)
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
		out, err := c.CombinedOutput()
		_, line, found := strings.Cut(string(out), "LINE ")
		line, _, _ = strings.Cut(line, "\n")
		if err != nil || !found {
			t.Fatalf("%s: %v\n%s", dir, err, out)
		}
		wantLine(t, errors.New(line), dir, "user 12345 may not use it", owner, "chown -R 12345 "+dir)
	}
}

// Two processes never use one folder.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, Options{Dir: dir})
	_, err := OpenEmbedded(Options{Dir: dir})
	wantLine(t, err, dir, "another doyasa is using it")
	say(t, j, "r", 0, 1)
	stop(t, j)
	stop(t, openIn(t, Options{Dir: dir}))
}

// Whatever is cut off or flipped in a stored block: the store is refused with a line
// that says so, also the second time, or what it shows is exactly what was stored.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, Options{Dir: dir, Limits: Limits{Messages: 200}})
	say(t, j, "r", 0, 300)
	say(t, j, "s", 0, 10)
	want := page(t, j, "r", all)
	stop(t, j)
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("blocks %v, %v", blocks, err)
	}
	block, err := filepath.Rel(dir, blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, b []byte) {
		t.Helper()
		copied := crash(t, dir)
		if err := os.WriteFile(filepath.Join(copied, block), b, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			j, err := OpenEmbedded(Options{Dir: copied, Limits: Limits{Messages: 200}})
			if err != nil {
				wantLine(t, err, copied, "damaged", "doyasa export --salvage")
				refused++
				salvaged(t, copied, want)
				continue
			}
			j.mu.Lock()
			for i := range j.index.rooms["r"].kept {
				j.index.rooms["r"].kept[i].message = nil // from the disk
			}
			j.mu.Unlock()
			got := page(t, j, "r", all)
			if got.Head != want.Head || got.Floor != want.Floor || len(got.Messages) != len(want.Messages) {
				t.Errorf("%s: opened with %d messages up to %d, want %d up to %d", what, len(got.Messages), got.Head, len(want.Messages), want.Head)
			}
			stop(t, j)
		}
	}
	n := len(whole)
	for _, at := range []int{0, 4, 5, 21, 100, n / 3, n / 2, 2 * n / 3, n - 200, n - 9, n - 1} {
		flipped := slices.Clone(whole)
		flipped[at] ^= 0x10
		try("flipped", flipped)
	}
	for _, size := range []int{0, 1, 100, n / 3, n / 2, n - 200, n - 1} {
		try("cut", whole[:size])
	}
	if refused < 20 {
		t.Errorf("%d refusals of 36 starts with a damaged block", refused)
	}
}

// salvaged holds what can still be read to what was stored.
func salvaged(t *testing.T, dir string, was hub.Page) {
	t.Helper()
	var b bytes.Buffer
	n, err := Export(Options{Dir: dir}, &b, true)
	if err == nil {
		t.Error("a damaged store is salvaged without a word of that")
	}
	texts := make(map[uint64]string)
	for _, m := range was.Messages {
		texts[m.Seq] = string(m.Payload)
	}
	for l := range strings.Lines(b.String()) {
		n--
		var got line
		if err := json.Unmarshal([]byte(l), &got); err != nil {
			t.Error(err)
		}
		if text, known := texts[got.Seq]; known && got.Room == "r" && got.Text != text {
			t.Errorf("salvaged %+v, want the text %q", got, text)
		}
	}
	if n != 0 {
		t.Errorf("%d lines more or less than said", n)
	}
}

// A store of another layout is refused before anything is read.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, Options{Dir: dir})
	s, err := j.js.Stream(t.Context(), j.stream)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.Metadata[metaLayout] = "2"
	if _, err := j.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	stop(t, j)
	_, err = OpenEmbedded(Options{Dir: dir})
	wantLine(t, err, dir, `layout "2"`, "layout 1", "doyasa export")
}

// A power cut can take what was written last and leave the server's memory of it: those
// messages were never acknowledged, the store opens without them, and stays accounted for.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, Options{Dir: dir})
	said := say(t, j, "r", 0, 100)
	stop(t, j)
	before := crash(t, dir)
	j = openIn(t, Options{Dir: dir})
	say(t, j, "r", 100, 10)
	stop(t, j)
	const msgs = "jetstream/$G/streams/" + streamName + "/msgs"
	b, err := os.ReadFile(filepath.Join(dir, msgs, "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(before, msgs, "index.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		j := openIn(t, Options{Dir: before})
		if got := page(t, j, "r", all).Messages; len(got) != 100+i {
			t.Errorf("start %d: %d messages, want %d", i, len(got), 100+i)
		}
		if m := say(t, j, "r", 200+i, 1)[0]; m.Prev < said[99].Seq || m.Seq <= m.Prev {
			t.Errorf("start %d: Seq %d, Prev %d", i, m.Seq, m.Prev)
		}
		stop(t, j)
	}
}

// A room of which nothing is left, not even the record of a trim, is missed.
func TestLostRoom(t *testing.T) {
	dir := t.TempDir()
	j := openIn(t, Options{Dir: dir})
	say(t, j, "s", 0, 10)
	say(t, j, "r", 0, 10)
	j.purge(messageSubject("s"), 10)
	stop(t, j)
	_, err := OpenEmbedded(Options{Dir: dir})
	wantLine(t, err, "damaged", "10 are missing", dir)
}
