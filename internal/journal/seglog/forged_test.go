package seglog

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A text may look like the header of a batch with a large number. After damage it is not taken for one, and hides nothing that comes later.
func TestForgedHeader(t *testing.T) {
	forged, _ := appendBatch(nil, 1<<40, [][]byte{[]byte("forged")})
	texts := []string{"one", "text " + string(forged), "three", "four"}
	dir := t.TempDir()
	l, _ := openAll(t, dir, 1)
	for _, text := range texts {
		commit(t, l, text)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "0000000000000002.seg")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[segmentHeaderSize+5] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	damage, err := Scan(dir, func(b []byte) error { got = append(got, string(b)); return nil })
	if want := []string{"one", "three", "four"}; err != nil || len(damage) == 0 || !slices.Equal(got, want) {
		t.Errorf("salvage gives %q, damage %v, %v; want %q and that something is damaged", got, damage, err, want)
	}
	// A power cut takes the header of the last batch, which was never acknowledged: it is torn, whatever its text looks like.
	dir = t.TempDir()
	l, _ = openAll(t, dir, 1<<20)
	commit(t, l, "one")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(dir, "0000000000000001.seg")
	if b, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	torn, _ := appendBatch(nil, 2, [][]byte{append([]byte("text "), forged...)})
	clear(torn[:batchHeaderSize])
	if err := os.WriteFile(name, append(b, torn...), 0o600); err != nil {
		t.Fatal(err)
	}
	l, k := openAll(t, dir, 1<<20)
	defer l.Close()
	if !slices.Equal(k.texts, []string{"one"}) {
		t.Errorf("the store has %q, want one", k.texts)
	}
}
