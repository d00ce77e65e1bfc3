package vectors

import "testing"

func TestParse(t *testing.T) {
	v := Vector{Name: "bytes"}
	got := v.Parse(t, ` 81 0a0B "a b"  "c"*3 00*2 "" `)
	if want := "\x81\x0a\x0ba bccc\x00\x00"; string(got) != want {
		t.Errorf("Parse = %q, want %q", got, want)
	}
}
