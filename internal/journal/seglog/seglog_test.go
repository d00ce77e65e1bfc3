package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// kept is what a test expects of a store: records by their text, in order.
type kept struct {
	positions []Pos
	texts     []string
}

func openAll(t testing.TB, dir string, segmentBytes int64) (*Log, *kept) {
	t.Helper()
	k := new(kept)
	l := New(dir, segmentBytes)
	err := l.Load(func(p Pos, body []byte) error {
		k.positions = append(k.positions, p)
		k.texts = append(k.texts, string(body))
		return nil
	})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l, k
}

func commit(t testing.TB, l *Log, texts ...string) []Pos {
	t.Helper()
	records := make([][]byte, len(texts))
	for i, text := range texts {
		records[i] = []byte(text)
	}
	positions, err := l.Commit(records)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return positions
}

func TestCommittedIsThereAgain(t *testing.T) {
	dir := t.TempDir()
	l, k := openAll(t, dir, 300)
	if len(k.texts) > 0 {
		t.Fatalf("a new store has %q", k.texts)
	}
	var want []string
	for i := range 20 {
		one, two := fmt.Sprintf("one %d", i), fmt.Sprintf("two %d", i)
		positions := commit(t, l, one, two)
		want = append(want, one, two)
		for j, text := range []string{one, two} {
			if got, err := l.Read(positions[j]); err != nil || string(got) != text {
				t.Fatalf("Read = %q, %v, want %q", got, err, text)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, k = openAll(t, dir, 300)
	defer l.Close()
	if !slices.Equal(k.texts, want) {
		t.Fatalf("after opening again: %q, want %q", k.texts, want)
	}
	if len(l.order) < 3 {
		t.Fatalf("%d segments: the test needs several", len(l.order))
	}
	for i, p := range k.positions {
		if got, err := l.Read(p); err != nil || string(got) != want[i] {
			t.Fatalf("Read = %q, %v, want %q", got, err, want[i])
		}
	}
	commit(t, l, "goes on")
}

// only is a Keeper that keeps some texts and remembers where they are.
type only struct {
	log  *Log
	want map[string]bool
	at   map[string]Pos
}

func (o *only) Keep(_ Pos, body []byte) []byte {
	if o.want[string(body)] {
		return body
	}
	return nil
}

func (o *only) Moved(_, p Pos, body []byte) { o.at[string(body)] = p }

func TestRewriteDropsWhatIsDead(t *testing.T) {
	dir := t.TempDir()
	l, _ := openAll(t, dir, 400)
	o := &only{log: l, want: map[string]bool{}, at: map[string]Pos{}}
	var want []string
	for i := range 60 {
		text := fmt.Sprintf("record %03d", i)
		p := commit(t, l, text)[0]
		o.at[text] = p
		if i%20 == 7 || i >= 55 {
			o.want[text] = true
			want = append(want, text)
		} else {
			l.Free(p, p.Bytes())
		}
	}
	before, old := l.Size(), o.at["record 007"]
	for again := true; again; {
		var err error
		if again, err = l.Rewrite(o); err != nil {
			t.Fatal(err)
		}
	}
	if l.Size() > before/2 {
		t.Fatalf("%d bytes after rewriting %d", l.Size(), before)
	}
	if _, err := l.Read(old); !errors.Is(err, ErrMoved) {
		t.Fatalf("Read of a moved record: %v, want ErrMoved", err)
	}
	for _, text := range want {
		if got, err := l.Read(o.at[text]); err != nil || string(got) != text {
			t.Fatalf("Read = %q, %v, want %q", got, err, text)
		}
	}
	commit(t, l, "after")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, k := openAll(t, dir, 400)
	defer l.Close()
	var still []string
	for _, text := range k.texts {
		if o.want[text] {
			still = append(still, text)
		}
	}
	if !slices.Equal(still, want) || k.texts[len(k.texts)-1] != "after" {
		t.Fatalf("after opening again: %q", k.texts)
	}
}

// small makes a store of three segments, the second of which was rewritten, and returns its files and its texts.
func small(t testing.TB) (files map[string][]byte, texts []string) {
	t.Helper()
	dir := t.TempDir()
	l, _ := openAll(t, dir, 300)
	o := &only{log: l, want: map[string]bool{}, at: map[string]Pos{}}
	for i := range 24 {
		text := fmt.Sprintf("record %02d %s", i, bytes.Repeat([]byte{'x'}, i))
		p := commit(t, l, text)[0]
		if p.segment == l.order[0] && i > 0 {
			l.Free(p, p.Bytes())
			continue
		}
		o.want[text] = true
		texts = append(texts, text)
	}
	if done, err := l.Rewrite(o); !done || err != nil {
		t.Fatal(done, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return readFiles(t, dir), texts
}

func readFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func writeFiles(t testing.TB, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// judge opens a damaged store: it must say that it is damaged, or have everything.
func judge(t *testing.T, what string, files map[string][]byte, want []string) (found bool) {
	t.Helper()
	dir := writeFiles(t, files)
	var got []string
	l := New(dir, 300)
	err := l.Load(func(_ Pos, body []byte) error {
		got = append(got, string(body))
		return nil
	})
	l.Close()
	if err == nil {
		if !slices.Equal(got, want) {
			t.Errorf("%s: opens without a word and has %q, want %q", what, got, want)
		}
		return false
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: %v, want ErrDamaged", what, err)
	}
	damage, err := Scan(dir, func(body []byte) error {
		if !slices.Contains(want, string(body)) {
			t.Errorf("%s: salvage gives %q, which nobody has written", what, body)
		}
		return nil
	})
	if err != nil || len(damage) == 0 {
		t.Errorf("%s: salvage: %v, damage %v", what, err, damage)
	}
	return true
}

// step is how far the places of a test are apart. It has no divisor in common with the sizes of headers.
func step() int {
	if testing.Short() {
		return 11
	}
	return 1
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	files, want := small(t)
	for name, content := range files {
		for i := 0; i < len(content); i += step() {
			changed := bytes.Clone(content)
			changed[i] ^= 0x40
			files[name] = changed
			found := judge(t, fmt.Sprintf("%s with byte %d flipped", name, i), files, want)
			if !found && name != confirmedName {
				t.Errorf("%s with byte %d flipped: not found", name, i)
			}
		}
		files[name] = content
	}
}

func TestEveryCutIsFound(t *testing.T) {
	files, want := small(t)
	for name, content := range files {
		for i := 0; i < len(content); i += step() {
			files[name] = content[:i]
			judge(t, fmt.Sprintf("%s cut at %d", name, i), files, want)
		}
		delete(files, name)
		judge(t, name+" removed", files, want)
		files[name] = content
	}
}

func TestEveryZeroedRangeIsFound(t *testing.T) {
	files, want := small(t)
	for name, content := range files {
		for i := 0; i < len(content); i += 16 * step() {
			changed := bytes.Clone(content)
			clear(changed[i:min(i+512, len(content))])
			files[name] = changed
			judge(t, fmt.Sprintf("%s zeroed from %d", name, i), files, want)
		}
		files[name] = content
	}
}
