package wsproto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/vectors"
)

// TestHeaderVectors holds each row of testdata/header.txt against ParseHeader and AppendHeader, whole, followed by other bytes, and cut at
// every length.
func TestHeaderVectors(t *testing.T) {
	for _, v := range vectors.Read(t, "testdata/header.txt") {
		t.Run(v.Name, func(t *testing.T) {
			wire := v.Bytes(t, "wire")
			if code := CloseCode(v.Number(t, "error", 0)); code != 0 {
				testIllegalHeader(t, wire, v.Number(t, "early", len(wire)), code)
				return
			}
			want := parseHeaderVector(t, v.Get("header"))
			for _, b := range [][]byte{wire, append(bytes.Clone(wire), "more"...)} {
				h, n, err := ParseHeader(b)
				if h != want || n != len(wire) || err != nil {
					t.Errorf("ParseHeader(% x) = %+v, %d, %v, want %+v, %d", b, h, n, err, want, len(wire))
				}
			}
			if got := AppendHeader([]byte("before"), want); string(got) != "before"+string(wire) {
				t.Errorf("AppendHeader(%+v) = % x, want % x", want, got[len("before"):], wire)
			}
			for cut := range wire {
				h, n, err := ParseHeader(wire[:cut])
				if h != (Header{}) || n != 0 || !errors.Is(err, ErrNeedMore) {
					t.Errorf("ParseHeader(% x) = %+v, %d, %v, want ErrNeedMore", wire[:cut], h, n, err)
				}
			}
		})
	}
}

func testIllegalHeader(t *testing.T, wire []byte, early int, code CloseCode) {
	for cut := range len(wire) + 1 {
		h, n, err := ParseHeader(wire[:cut])
		if h != (Header{}) || n != 0 {
			t.Errorf("ParseHeader(% x) = %+v, %d beside its error, want zeros", wire[:cut], h, n)
		}
		if cut < early && !errors.Is(err, ErrNeedMore) {
			t.Errorf("ParseHeader(% x) = %v, want ErrNeedMore", wire[:cut], err)
		}
		if cut >= early && CloseCodeOf(err) != code {
			t.Errorf("ParseHeader(% x) = %v, want an error of code %d", wire[:cut], err, code)
		}
	}
}

func parseHeaderVector(t *testing.T, s string) (h Header) {
	t.Helper()
	var fin, masked int
	var key string
	if _, err := fmt.Sscan(s, &fin, &h.RSV, &h.Opcode, &masked, &key, &h.PayloadLen); err != nil {
		t.Fatalf("header: %q: %v", s, err)
	}
	k, err := hex.DecodeString(key)
	if err != nil || len(k) != 4 {
		t.Fatalf("header: %q: bad key", s)
	}
	h.Fin, h.Masked, h.MaskingKey = fin == 1, masked == 1, [4]byte(k)
	return h
}

// TestHeaderFirstBytes tries every pair of first bytes: legal or not, as §5.2 and §5.5 say, never both.
func TestHeaderFirstBytes(t *testing.T) {
	rest := []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0} // 65536 as a 64-bit length
	for first := range 256 {
		for second := range 256 {
			b := append([]byte{byte(first), byte(second)}, rest...)
			if second&0x7F == 126 {
				b[2] = 1 // 256 as a 16-bit length
			}
			op, length := first&0x0F, second&0x7F
			legal := op <= 2 || op >= 8 && op <= 10 && first >= 0x80 && length <= 125
			h, n, err := ParseHeader(b)
			if legal != (err == nil) || !legal && CloseCodeOf(err) != CloseProtocolError {
				t.Fatalf("ParseHeader(% x) = %v, legal = %v", b, err, legal)
			}
			if legal && !bytes.Equal(AppendHeader(nil, h), b[:n]) {
				t.Fatalf("ParseHeader(% x) = %+v, which is appended as % x", b, h, AppendHeader(nil, h))
			}
		}
	}
}

// TestTopBitIsNamed: the two illegal kinds of 64-bit lengths share a code, not an explanation.
func TestTopBitIsNamed(t *testing.T) {
	_, _, err := ParseHeader([]byte{0x82, 0x7F, 0x80, 0, 0, 0, 0, 1, 0, 0})
	if err == nil || !strings.Contains(err.Error(), "most significant bit") {
		t.Errorf("ParseHeader with the length's top bit set = %v, want that said", err)
	}
}

func TestAppendFrame(t *testing.T) {
	payload := []byte("Hello")
	got := AppendFrame(nil, Header{Fin: true, Opcode: OpText, PayloadLen: 99}, payload)
	if want := "\x81\x05Hello"; string(got) != want {
		t.Errorf("AppendFrame = % x, want % x", got, want)
	}
	h := Header{Fin: true, Opcode: OpText, Masked: true, MaskingKey: [4]byte{0x37, 0xFA, 0x21, 0x3D}}
	got = AppendFrame([]byte{0xAA}, h, payload)
	if want := "\xaa\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; string(got) != want {
		t.Errorf("AppendFrame masked = % x, want % x", got, want)
	}
	if string(payload) != "Hello" {
		t.Errorf("AppendFrame changed its payload to %q", payload)
	}
}

func TestMaxHeaderLen(t *testing.T) {
	h := Header{Masked: true, PayloadLen: math.MaxInt64}
	if got := len(AppendHeader(nil, h)); got != MaxHeaderLen {
		t.Errorf("longest header is %d bytes, want MaxHeaderLen = %d", got, MaxHeaderLen)
	}
}

func TestOpcode(t *testing.T) {
	names := map[Opcode]string{
		OpContinuation: "continuation", OpText: "text", OpBinary: "binary", 3: "opcode 3", 7: "opcode 7",
		OpClose: "close", OpPing: "ping", OpPong: "pong", 11: "opcode 11", 15: "opcode 15",
	}
	for o, want := range names {
		if got := o.String(); got != want {
			t.Errorf("Opcode(%d).String() = %q, want %q", uint8(o), got, want)
		}
	}
	for o := range Opcode(16) {
		if o.IsControl() != (o >= 8) || o.IsData() != (o < 8) {
			t.Errorf("%v: IsControl %v, IsData %v", o, o.IsControl(), o.IsData())
		}
	}
}

// FuzzHeader: what parses is appended as the same bytes, and nothing parses from fewer.
func FuzzHeader(f *testing.F) {
	for _, v := range vectors.Read(f, "testdata/header.txt") {
		f.Add(v.Bytes(f, "wire"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b)
		if err != nil {
			if h != (Header{}) || n != 0 {
				t.Fatalf("ParseHeader(% x) = %+v, %d beside %v", b, h, n, err)
			}
			return
		}
		if got := AppendHeader(nil, h); !bytes.Equal(got, b[:n]) {
			t.Fatalf("ParseHeader(% x) = %+v, which is appended as % x", b[:n], h, got)
		}
		for cut := range n {
			if _, _, err := ParseHeader(b[:cut]); !errors.Is(err, ErrNeedMore) {
				t.Fatalf("ParseHeader(% x) = %v, want ErrNeedMore", b[:cut], err)
			}
		}
	})
}

func TestHeaderAllocates(t *testing.T) {
	wire := AppendHeader(nil, Header{Fin: true, Opcode: OpText, Masked: true, PayloadLen: 1 << 20})
	if n := testing.AllocsPerRun(100, func() { ParseHeader(wire) }); n != 0 {
		t.Errorf("ParseHeader allocates %v times, want never", n)
	}
	dst, payload := make([]byte, 0, 256), make([]byte, 200)
	h := Header{Fin: true, Opcode: OpText, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}}
	if n := testing.AllocsPerRun(100, func() { AppendFrame(dst, h, payload) }); n != 0 {
		t.Errorf("AppendFrame into capacity allocates %v times, want never", n)
	}
}

func BenchmarkParseHeader(b *testing.B) {
	for _, n := range []int64{64, 4096, 1 << 20} {
		wire := AppendHeader(nil, Header{Fin: true, Opcode: OpText, Masked: true, PayloadLen: n})
		b.Run(fmt.Sprintf("payload=%d", n), func(b *testing.B) {
			for b.Loop() {
				ParseHeader(wire)
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	dst := make([]byte, 0, MaxHeaderLen)
	for _, n := range []int64{64, 4096, 1 << 20} {
		b.Run(fmt.Sprintf("payload=%d", n), func(b *testing.B) {
			for b.Loop() {
				AppendHeader(dst, Header{Fin: true, Opcode: OpText, PayloadLen: n})
			}
		})
	}
}
