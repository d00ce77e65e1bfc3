//go:build linux

package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
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

func remount(t *testing.T, dir string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, data); err != nil {
		t.Fatal(err)
	}
}

// sender says one message after the other and counts what becomes of them.
type sender struct {
	journal *Journal
	back    chan hub.Entry // deliver sends, never closed
	said    int
	stored  []uint64
}

func newSender(t *testing.T, j *Journal) *sender {
	t.Helper()
	s := &sender{journal: j, back: make(chan hub.Entry, 1)}
	if _, err := j.Open("r", func(e hub.Entry) { s.back <- e }); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sender) say(bytes int) error {
	m := message("r", s.said)
	m.Payload = append(m.Payload, make([]byte, bytes)...)
	s.said++
	s.journal.Append("r", m)
	e := <-s.back
	if e.Err == nil {
		s.stored = append(s.stored, e.Message.Seq)
	}
	return e.Err
}

// check holds the journal to what was stored, read from the disk.
func (s *sender) check(t *testing.T, j *Journal) {
	t.Helper()
	uncache(j)
	got := make(map[uint64]bool)
	for _, m := range page(t, j, "r", all).Messages {
		got[m.Seq] = true
	}
	for _, seq := range s.stored {
		if !got[seq] {
			t.Fatalf("message %d was acknowledged and is not there; %d of %d are", seq, len(got), len(s.stored))
		}
	}
}

// A full disk: what cannot be stored is refused, the operator is told once, and what was stored can be read; when there is space
// again, everything goes on by itself. The store starts and is exported on a full disk, too.
func TestFullDisk(t *testing.T) {
	dir := tmpfs(t, "1m")
	reports := make(chan error, 100) // Report sends, never closed
	mended := make(chan struct{}, 1) // Mended sends, never closed
	o := Options{Dir: dir, Report: func(err error) { reports <- err }, Mended: func() { mended <- struct{}{} }}
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t, j)
	for refused := 0; refused < 5; {
		if err := s.say(5000); err != nil {
			refused++
			if !errors.Is(err, hub.ErrUnavailable) {
				t.Fatalf("refused with %v, want ErrUnavailable", err)
			}
		}
	}
	if len(s.stored) < 100 {
		t.Errorf("%d messages of 5 kB in 1 MiB, want more", len(s.stored))
	}
	wantLine(t, <-reports, dir, "the disk is full")
	if n := len(reports); n > 0 {
		t.Errorf("%d more reports, want one: %v", n, <-reports)
	}
	s.check(t, j)
	if !j.Stats().Failed {
		t.Error("the figures do not say that nothing is stored")
	}
	stop(t, j)
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	var dump bytes.Buffer
	if n, err := Export(dir, &dump, false); n < len(s.stored) || err != nil {
		t.Errorf("an export from a full disk has %d messages and %v, want %d", n, err, len(s.stored))
	}
	if j, err = Open(o); err != nil {
		t.Fatalf("no start on a full disk: %v", err)
	}
	defer stop(t, j)
	s.journal = j
	if _, err := j.Open("r", func(e hub.Entry) { s.back <- e }); err != nil {
		t.Fatal(err)
	}
	s.check(t, j)
	if s.say(5000) == nil {
		t.Fatal("stored although the disk is full")
	}
	remount(t, dir, 0, "size=20m")
	if err := s.say(5000); err != nil {
		t.Fatalf("with space again: %v", err)
	}
	if j.Stats().Failed {
		t.Error("the figures do not say that messages are stored again")
	}
	wantLine(t, <-reports, "the disk is full")
	<-mended
	s.check(t, j)
}

// The health check of a room that nobody speaks in finds out that the disk takes messages again.
func TestProbeFindsSpace(t *testing.T) {
	dir := tmpfs(t, "1m")
	j := openIn(t, dir, hub.Limits{})
	defer stop(t, j)
	s := newSender(t, j)
	for s.say(5000) == nil {
	}
	probe := make(chan hub.Entry, 1) // deliver sends, never closed
	if _, err := j.Open("probe", func(e hub.Entry) { probe <- e }); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		j.Append("probe", &hub.Message{Transient: true})
		return (<-probe).Err
	}
	if ask() == nil {
		t.Error("the probe is answered as if messages were stored")
	}
	remount(t, dir, 0, "size=20m")
	deadline := time.Now().Add(time.Minute)
	for ask() != nil {
		if time.Now().After(deadline) {
			t.Fatal("the probe does not find the space")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Descriptors that run out for a while end nothing.
func TestNoDescriptors(t *testing.T) {
	j, err := Open(Options{Dir: t.TempDir(), SegmentBytes: 1}) // each batch needs a new file
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, j)
	s := newSender(t, j)
	if err := s.say(10); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err = s.say(10)
	if err2 := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err2 != nil {
		t.Fatal(err2)
	}
	if !errors.Is(err, hub.ErrUnavailable) {
		t.Fatalf("without a descriptor: %v, want ErrUnavailable", err)
	}
	for range 3 {
		if err := s.say(10); err != nil {
			t.Fatalf("with descriptors again: %v", err)
		}
	}
	s.check(t, j)
}

// From the first byte on there is no space.
func TestFullFromTheStart(t *testing.T) {
	dir := tmpfs(t, "1m")
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 2<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	_, err := Open(Options{Dir: filepath.Join(dir, "data")})
	wantLine(t, err, dir, "the disk is full")
}

// A read-only disk: a server cannot start, and everything can be exported.
func TestReadOnly(t *testing.T) {
	dir := tmpfs(t, "10m")
	j := openIn(t, dir, hub.Limits{})
	say(t, j, "r", 0, 10)
	stop(t, j)
	remount(t, dir, syscall.MS_RDONLY, "")
	_, err := Open(Options{Dir: dir})
	wantLine(t, err, dir, "read-only", "mount it writable")
	for _, salvage := range []bool{false, true} {
		if n, err := Export(dir, new(bytes.Buffer), salvage); n != 10 || err != nil {
			t.Errorf("Export, salvage %v = %d, %v; want 10", salvage, n, err)
		}
	}
}

// The folder may be a symbolic link, and strange things in it are left alone.
func TestStrangeFolder(t *testing.T) {
	base := t.TempDir()
	dir, link := filepath.Join(base, "real"), filepath.Join(base, "link")
	if err := os.MkdirAll(filepath.Join(dir, "lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := os.WriteFile(filepath.Join(dir, "notes.seg"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		j := openIn(t, link, hub.Limits{})
		say(t, j, "r", n*10, 10)
		stop(t, j)
	}
	j := openIn(t, link, hub.Limits{})
	defer stop(t, j)
	if p := page(t, j, "r", all); len(p.Messages) != 30 {
		t.Errorf("%d messages, want 30", len(p.Messages))
	}
}

// A folder that a version before the first release has written is refused.
func TestOldFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, oldStore, "$G", "streams"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: dir})
	wantLine(t, err, dir, "before the first release", "move the folder away")
}

// Somebody who is not root and not the owner is told who is, and how to change that. This test runs itself again as somebody else.
func TestForeign(t *testing.T) {
	if dir := os.Getenv("JOURNAL_FOREIGN"); dir != "" {
		j, err := Open(Options{Dir: dir})
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
	j := openIn(t, used, hub.Limits{})
	say(t, j, "r", 0, 1)
	stop(t, j)
	inner := filepath.Join(base, "inner")
	if err := os.CopyFS(inner, os.DirFS(used)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{inner, filepath.Join(inner, lockName), filepath.Join(inner, "confirmed")} {
		if err := os.Chown(name, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(base, "test")
	if err := os.Link(os.Args[0], program); err != nil {
		b, _ := os.ReadFile(os.Args[0])
		if err := os.WriteFile(program, b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for dir, owner := range map[string]string{used: "user 0", filepath.Join(base, "new"): "user 0", inner: "user 0 (" + inner + "/0"} {
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
	j := openIn(t, dir, hub.Limits{})
	_, err := Open(Options{Dir: dir})
	wantLine(t, err, dir, "another doyasa is using it")
	say(t, j, "r", 0, 1)
	stop(t, j)
	stop(t, openIn(t, dir, hub.Limits{}))
}

// Whatever is cut off or flipped: the store is refused with a line that says so, also the second time and also after a kill, or what it
// shows is exactly what was stored; and salvage gives all that can be read.
func TestDamage(t *testing.T) {
	for _, killed := range []bool{false, true} {
		dir := t.TempDir()
		j := openIn(t, dir, hub.Limits{Messages: 200})
		say(t, j, "r", 0, 300)
		say(t, j, "s", 0, 10)
		want := page(t, j, "r", all)
		if killed {
			dir = crash(t, dir)
			defer stop(t, j)
		} else {
			stop(t, j)
		}
		segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
		if err != nil || len(segments) != 1 {
			t.Fatalf("segments %v, %v", segments, err)
		}
		whole, err := os.ReadFile(segments[0])
		if err != nil {
			t.Fatal(err)
		}
		try := func(what string, b []byte) {
			t.Helper()
			copied := crash(t, dir)
			if err := os.WriteFile(filepath.Join(copied, filepath.Base(segments[0])), b, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := Open(Options{Dir: copied, Limits: hub.Limits{Messages: 200}})
				if err == nil {
					t.Fatalf("%s: opened", what)
				}
				wantLine(t, err, copied, "damaged", "doyasa export --salvage")
				salvaged(t, copied, want)
			}
		}
		n := len(whole)
		for i, at := range []int{0, 4, 5, 21, 100, n / 3, n / 2, 2 * n / 3, n - 200, n - 9, n - 1} {
			if i%fewer(1, 3) > 0 {
				continue
			}
			flipped := slices.Clone(whole)
			flipped[at] ^= 0x10
			try("flipped", flipped)
		}
		for i, size := range []int{0, 1, 100, n / 3, n / 2, n - 200, n - 1} {
			if i%fewer(1, 3) > 0 {
				continue
			}
			try("cut", whole[:size])
		}
		for at := 0; at < n; at += 4096 * fewer(1, 5) {
			zeroed := slices.Clone(whole)
			clear(zeroed[at:min(n, at+4096)])
			try("zeroed", zeroed)
		}
	}
}

// salvaged holds what can still be read to what was stored.
func salvaged(t *testing.T, dir string, was hub.Page) {
	t.Helper()
	var b bytes.Buffer
	n, err := Export(dir, &b, true)
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

// What is not kept leaves the disk, although ids are remembered, and everything is there after a restart.
func TestDiskIsFreed(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-all runs this test")
	}
	dir := t.TempDir()
	limits := hub.Limits{Messages: 100}
	n := fewer(4000, 500)
	j, err := Open(Options{Dir: dir, Limits: limits, SegmentBytes: int64(n) << 11})
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(t, j)
	for range n {
		if err := s.say(10_000); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for j.Stats().DiskBytes > int64(n)<<12+(2<<20) {
		if time.Now().After(deadline) {
			t.Fatalf("%d MiB on the disk for 1 MiB of messages", j.Stats().DiskBytes>>20)
		}
		time.Sleep(10 * time.Millisecond)
	}
	want := page(t, j, "r", all)
	stop(t, j)
	j = openIn(t, dir, limits)
	defer stop(t, j)
	uncache(j)
	if got := page(t, j, "r", all); len(got.Messages) != 100 || got.Head != want.Head || got.Floor != want.Floor {
		t.Errorf("%d messages after a restart, want 100", len(got.Messages))
	}
	o, err := j.Open("r", func(hub.Entry) {})
	if err != nil || len(o.Recent) != n {
		t.Errorf("%d ids known after a restart, want %d; %v", len(o.Recent), n, err)
	}
}
