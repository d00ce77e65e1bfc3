package seglog

import (
	"bytes"
	"slices"
	"testing"
)

// A power cut may leave the first batch of a segment torn like any other: also the size of the file may be on the disk before the
// bytes, and the end of the batch before its beginning.
func TestTornFirstBatch(t *testing.T) {
	dir := t.TempDir()
	l, _ := openAll(t, dir, 1) // each batch gets a segment of its own
	commit(t, l, "one")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files := readFiles(t, dir)
	content := appendSegmentHeader(nil, segmentInfo{first: 2})
	content, _ = appendBatch(content, 2, [][]byte{bytes.Repeat([]byte("two"), 1000)})
	for _, torn := range [][]byte{
		make([]byte, len(content)),
		append(make([]byte, 512), content[512:]...),
		append(make([]byte, 1024), content[1024:2048]...),
		append(slices.Clone(content[:512]), make([]byte, 1000)...),
		content[:segmentHeaderSize+5],
	} {
		files["0000000000000002.seg"] = torn
		dir := writeFiles(t, files)
		l, k := openAll(t, dir, 1)
		if !slices.Equal(k.texts, []string{"one"}) {
			t.Errorf("the store has %q, want what was acknowledged", k.texts)
		}
		commit(t, l, "other two")
		commit(t, l, "three")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, k = openAll(t, dir, 1)
		if !slices.Equal(k.texts, []string{"one", "other two", "three"}) {
			t.Errorf("later the store has %q", k.texts)
		}
		l.Close()
	}
	// A segment of which a batch was acknowledged is not torn.
	files[confirmedName] = appendConfirmed(nil, 2)
	files["0000000000000002.seg"] = make([]byte, len(content))
	if err := New(writeFiles(t, files), 1).Load(func(Pos, []byte) error { return nil }); err == nil {
		t.Error("an acknowledged batch is gone, and the store opens without a word")
	}
}
