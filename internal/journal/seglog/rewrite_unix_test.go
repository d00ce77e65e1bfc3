//go:build unix

package seglog

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// withoutDescriptors is a file after whose sync no other file can be opened.
type withoutDescriptors struct{ file }

func (f withoutDescriptors) Sync() error {
	err := f.file.Sync()
	none := syscall.Rlimit{Cur: 3, Max: descriptors.Max}
	if limitErr := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err == nil {
		err = limitErr
	}
	return err
}

var descriptors syscall.Rlimit

// When the folder cannot be synced after a rewritten segment has taken its name, that segment is used from then on: what is dropped
// later does not come back with it.
func TestRewriteWithoutSync(t *testing.T) {
	dir := t.TempDir()
	l, _ := openAll(t, dir, 1) // each batch gets a segment of its own
	o := &only{log: l, want: map[string]bool{}, at: map[string]Pos{}}
	for _, text := range []string{"one", "two", "three"} {
		o.at[text] = commit(t, l, text, strings.Repeat("dead", 100))[0]
		o.want[text] = true
	}
	for _, s := range l.order[:2] {
		s.live.Store(20)
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &descriptors); err != nil {
		t.Fatal(err)
	}
	l.openFile = func(name string, flag int) (file, error) {
		f, err := openFile(name, flag)
		return withoutDescriptors{f}, err
	}
	l.segmentBytes = 100
	_, err := l.Rewrite(o)
	if limitErr := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &descriptors); limitErr != nil {
		t.Fatal(limitErr)
	}
	if err == nil {
		t.Fatal("rewritten without a descriptor for the folder")
	}
	l.openFile, l.segmentBytes = openFile, 1
	for text := range o.want {
		if got, err := l.Read(o.at[text]); err != nil || string(got) != text {
			t.Errorf("Read = %q, %v, want %q", got, err, text)
		}
	}
	delete(o.want, "two")
	if err := l.replace([]*segment{o.at["two"].segment}, o); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, k := openAll(t, dir, 1)
	defer l.Close()
	if slices.Contains(k.texts, "two") || !slices.Contains(k.texts, "one") || !slices.Contains(k.texts, "three") {
		t.Errorf("the store has %.60q, want one and three", k.texts)
	}
	if _, err := os.Stat(dir + "/0000000000000002.seg"); err == nil {
		t.Error("an old file is left after a start")
	}
}
