package seglog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// failing is a file of which a method fails.
type failing struct {
	file
	write, sync error
}

func (f failing) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.file.WriteAt(p, at)
	return n, errors.Join(err, f.write)
}

func (f failing) Sync() error { return errors.Join(f.file.Sync(), f.sync) }

// A commit that failed before it had a file has written to none, and the next one mends none. The segments there are may be rewritten
// at that time.
func TestMendTouchesNoOtherSegment(t *testing.T) {
	dir := t.TempDir()
	l, _ := openAll(t, dir, 1)
	defer l.Close()
	commit(t, l, "one")
	var opened []string
	errNone := errors.New("no descriptor")
	l.openFile = func(name string, flag int) (file, error) {
		opened = append(opened, filepath.Base(name))
		return nil, errNone
	}
	for range 3 {
		if _, err := l.Commit([][]byte{[]byte("two")}); !errors.Is(err, errNone) {
			t.Fatal(err)
		}
	}
	if slices.Contains(opened, "0000000000000001.seg") {
		t.Errorf("opened %q, want only the new segment", opened)
	}
	l.openFile = openFile
	commit(t, l, "two")
}

// Whatever of a commit fails, nothing of its batch is there later, and its number is given to the next one.
func TestMend(t *testing.T) {
	errIO := errors.New("input/output error")
	for _, bytes := range []int64{1, 1 << 20} { // the batch gets a new segment, or not
		for _, f := range []failing{{write: errIO}, {sync: errIO}} {
			dir := t.TempDir()
			l, _ := openAll(t, dir, bytes)
			commit(t, l, "one")
			l.openFile = func(name string, flag int) (file, error) {
				inner, err := openFile(name, flag)
				return failing{inner, f.write, f.sync}, err
			}
			s := l.order[0]
			s.file = failing{s.file, f.write, f.sync}
			for range 3 {
				if _, err := l.Commit([][]byte{[]byte(strings.Repeat("refused", 100))}); !errors.Is(err, errIO) {
					t.Fatal(err)
				}
			}
			l.openFile = openFile
			commit(t, l, "two")
			if l.batch != 2 {
				t.Errorf("batch %d, want 2", l.batch)
			}
			l.segmentBytes = 1 // so that what is left after the second batch, if anything, is not at the end of the store
			commit(t, l, "three")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l, k := openAll(t, dir, bytes)
			if !slices.Equal(k.texts, []string{"one", "two", "three"}) {
				t.Errorf("%+v: the store has %.60q", f, k.texts)
			}
			l.Close()
		}
	}
}

// noting is a file that notes what is done to it.
type noting struct {
	file
	did *[]string
}

func (f noting) WriteAt(p []byte, at int64) (int, error) {
	*f.did = append(*f.did, fmt.Sprintf("write %d at %d", len(p), at))
	return f.file.WriteAt(p, at)
}

func (f noting) Sync() error {
	*f.did = append(*f.did, "sync")
	return f.file.Sync()
}

// A last batch that nobody was told of may be in memory alone: it is written and synced again before anything relies on it.
func TestLastBatchIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	l, _ := openAll(t, dir, 1<<20)
	commit(t, l, "one")
	first := l.order[0].size
	commit(t, l, "two")
	size := l.order[0].size
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files := readFiles(t, dir)
	for _, c := range []struct {
		confirmed uint64
		size      int64
		want      []string
	}{
		{1, size, []string{fmt.Sprintf("write %d at %d", size-first, first), "sync"}},
		{0, first, []string{fmt.Sprintf("write %d at 0", first), "sync"}},
		{2, size, []string{"sync"}},
	} {
		var did []string
		whole := files["0000000000000001.seg"]
		files["0000000000000001.seg"], files[confirmedName] = whole[:c.size], appendConfirmed(nil, c.confirmed)
		l := New(writeFiles(t, files), 0)
		files["0000000000000001.seg"] = whole
		l.openFile = func(name string, flag int) (file, error) {
			f, err := openFile(name, flag)
			if strings.HasSuffix(name, segmentSuffix) {
				f = noting{f, &did}
			}
			return f, err
		}
		if err := l.Load(func(Pos, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		l.Close()
		if !slices.Equal(did, c.want) {
			t.Errorf("batch %d confirmed, %d bytes: %q, want %q", c.confirmed, c.size, did, c.want)
		}
	}
}
