package wsproto

import (
	"bytes"
	"fmt"
	"testing"
)

// maskReference is §5.3 word for word, and what Mask is held against.
func maskReference(key [4]byte, offset int, p []byte) {
	for i := range p {
		p[i] ^= key[(offset+i)%4]
	}
}

func TestMask(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	source := bytes.Repeat([]byte("どやさ websocket "), 20)
	// Every length around the steps of 8 and 64, at every offset in the key and every alignment in memory.
	for n := range 200 {
		for offset := range 9 {
			for align := range 8 {
				got := bytes.Clone(source[:align+n+8])
				want := bytes.Clone(got)
				next := Mask(key, offset, got[align:align+n])
				maskReference(key, offset, want[align:align+n])
				if !bytes.Equal(got, want) {
					t.Fatalf("Mask of %d bytes at offset %d, alignment %d = %x, want %x", n, offset, align, got, want)
				}
				if next != (offset+n)%4 {
					t.Fatalf("Mask of %d bytes at offset %d returned %d, want %d", n, offset, next, (offset+n)%4)
				}
			}
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("abcd"), uint8(0), []byte("Hello"), uint8(2))
	f.Add([]byte{0, 0, 0, 0}, uint8(3), bytes.Repeat([]byte{0xFF}, 131), uint8(67))
	f.Fuzz(func(t *testing.T, k []byte, offset uint8, p []byte, cut uint8) {
		if len(k) < 4 {
			return
		}
		key := [4]byte(k)
		want := bytes.Clone(p)
		maskReference(key, int(offset), want)

		whole := bytes.Clone(p)
		end := Mask(key, int(offset), whole)
		if !bytes.Equal(whole, want) {
			t.Fatalf("Mask(%x, %d, %x) = %x, want %x", key, offset, p, whole, want)
		}
		at := min(int(cut), len(p))
		pieces := bytes.Clone(p)
		next := Mask(key, int(offset), pieces[:at])
		if next = Mask(key, next, pieces[at:]); next != end || !bytes.Equal(pieces, want) {
			t.Fatalf("Mask(%x, %d, %x) cut at %d = %x, %d, want %x, %d", key, offset, p, at, pieces, next, want, end)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	for _, n := range []int{5, 64, 125, 1024, 65536} {
		p := make([]byte, n)
		key := [4]byte{1, 2, 3, 4}
		b.Run(fmt.Sprintf("bytes=%d/wide", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				Mask(key, 0, p)
			}
		})
		b.Run(fmt.Sprintf("bytes=%d/reference", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				maskReference(key, 0, p)
			}
		})
	}
}
