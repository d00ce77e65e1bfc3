package wsproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/doyasa/doyasa/internal/vectors"
)

func TestCloseVectors(t *testing.T) {
	for _, v := range vectors.Read(t, "testdata/close.txt") {
		t.Run(v.Name, func(t *testing.T) {
			payload := v.Bytes(t, "payload")
			code, reason, err := ParseClosePayload(payload)
			if want := CloseCode(v.Number(t, "error", 0)); want != 0 {
				if code != 0 || reason != "" || CloseCodeOf(err) != want {
					t.Errorf("ParseClosePayload(% x) = %d, %q, %v, want error %d", payload, code, reason, err, want)
				}
				return
			}
			wantCode, wantReason := CloseCode(v.Number(t, "code", 0)), string(v.Bytes(t, "reason"))
			if code != wantCode || reason != wantReason || err != nil {
				t.Errorf("ParseClosePayload(% x) = %d, %q, %v, want %d, %q", payload, code, reason, err, wantCode, wantReason)
			}
			if got := AppendClosePayload([]byte{}, wantCode, wantReason); !bytes.Equal(got, payload) {
				t.Errorf("AppendClosePayload(%d, %q) = % x, want % x", wantCode, wantReason, got, payload)
			}
		})
	}
}

// TestCloseCodeValid tries every code there is.
func TestCloseCodeValid(t *testing.T) {
	for c := range 1 << 16 {
		want := c >= 1000 && c <= 1014 && c != 1004 && c != 1005 && c != 1006 || c >= 3000 && c <= 4999
		if got := CloseCode(c).Valid(); got != want {
			t.Errorf("CloseCode(%d).Valid() = %v, want %v", c, got, want)
		}
	}
}

func TestAppendClosePayload(t *testing.T) {
	tests := []struct {
		name, reason string
		code         CloseCode
		want         string
	}{
		{"no code", "x", 0, ""},
		{"no status", "x", CloseNoStatusReceived, ""},
		{"code that may not be sent", "x", CloseAbnormalClosure, ""},
		{"123 bytes", strings.Repeat("a", 123), 1000, "\x03\xe8" + strings.Repeat("a", 123)},
		{"124 bytes", strings.Repeat("a", 124), 1000, "\x03\xe8" + strings.Repeat("a", 123)},
		{"far over", strings.Repeat("a", 1<<16), 1000, "\x03\xe8" + strings.Repeat("a", 123)},
		{"41 characters of 3 bytes", strings.Repeat("ど", 41), 1000, "\x03\xe8" + strings.Repeat("ど", 41)},
		{"cut before a character", "a" + strings.Repeat("ど", 41), 1000, "\x03\xe8a" + strings.Repeat("ど", 40)},
		{"cut before a long one", "ab" + strings.Repeat("🍋", 31), 1000, "\x03\xe8ab" + strings.Repeat("🍋", 30)},
		{"not UTF-8", "a\xffb", 1000, "\x03\xe8a\uFFFDb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := AppendClosePayload(nil, tt.code, tt.reason); string(got) != tt.want {
				t.Errorf("AppendClosePayload(%d, %q) = %q, want %q", tt.code, tt.reason, got, tt.want)
			}
		})
	}
}

// TestAppendCloseFrame: a server's frame is not masked, a client's is, and both have the payload that AppendClosePayload makes.
func TestAppendCloseFrame(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	long := strings.Repeat("ど", 42)
	tests := []struct {
		name   string
		key    *[4]byte
		code   CloseCode
		reason string
		want   string
	}{
		{"a server's", nil, CloseGoingAway, "bye", "\x88\x05\x03\xe9bye"},
		{"a client's", &key, CloseGoingAway, "bye", "\x88\x85\x37\xfa\x21\x3d\x34\x13\x43\x44\x52"},
		{"a server's answer to an empty one", nil, CloseNoStatusReceived, "", "\x88\x00"},
		{"a client's answer to an empty one", &key, CloseNoStatusReceived, "", "\x88\x80\x37\xfa\x21\x3d"},
		{"a code that may not be sent", nil, CloseAbnormalClosure, "x", "\x88\x00"},
		{"a long reason", nil, ClosePolicyViolation, long, "\x88\x7d\x03\xf0" + long[:123]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendCloseFrame([]byte("before"), tt.key, tt.code, tt.reason)
			if string(got) != "before"+tt.want {
				t.Errorf("AppendCloseFrame(%v, %d, %q) = % x, want % x", tt.key, tt.code, tt.reason, got[len("before"):], tt.want)
			}
			role := RoleServer
			if tt.key == nil {
				role = RoleClient
			}
			ev, rest, err := NewAssembler(role, Limits{}).Next(got[len("before"):])
			if err != nil || ev.Opcode != OpClose || len(rest) > 0 {
				t.Errorf("the other side reads %+v, %d bytes more, %v; want a Close frame alone", ev, len(rest), err)
			}
		})
	}
	dst := make([]byte, 0, MaxHeaderLen+MaxControlPayload)
	if n := testing.AllocsPerRun(100, func() { AppendCloseFrame(dst, &key, ClosePolicyViolation, long) }); n != 0 {
		t.Errorf("AppendCloseFrame into capacity allocates %v times, want never", n)
	}
}

func TestCloseCodeOf(t *testing.T) {
	pe := &ProtocolError{CloseMessageTooBig, "7.4.1", "message of more than 8 bytes"}
	tests := []struct {
		err  error
		want CloseCode
	}{
		{nil, CloseNormalClosure},
		{pe, CloseMessageTooBig},
		{fmt.Errorf("reading: %w", pe), CloseMessageTooBig},
		{errors.Join(io.EOF, pe), CloseMessageTooBig},
		{io.EOF, CloseInternalError},
	}
	for _, tt := range tests {
		if got := CloseCodeOf(tt.err); got != tt.want {
			t.Errorf("CloseCodeOf(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
	if got, want := pe.Error(), "websocket: RFC 6455 §7.4.1: message of more than 8 bytes"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

// FuzzClosePayload: what parses is appended as the same bytes; what is appended parses and fits a control frame.
func FuzzClosePayload(f *testing.F) {
	for _, v := range vectors.Read(f, "testdata/close.txt") {
		f.Add(v.Bytes(f, "payload"))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := ParseClosePayload(p)
		if err == nil {
			if got := AppendClosePayload(nil, code, reason); len(p) <= MaxControlPayload && !bytes.Equal(got, p) {
				t.Fatalf("ParseClosePayload(% x) = %d, %q, which is appended as % x", p, code, reason, got)
			}
		} else if c := CloseCodeOf(err); c != CloseProtocolError && c != CloseInvalidFramePayloadData {
			t.Fatalf("ParseClosePayload(% x) = %v, code %d", p, err, c)
		}

		out := AppendClosePayload(nil, ClosePolicyViolation, string(p))
		_, reason, err = ParseClosePayload(out)
		if err != nil || len(out) > MaxControlPayload {
			t.Fatalf("AppendClosePayload(%q) = % x, %d bytes, which parses with %v", p, out, len(out), err)
		}
		if utf8.Valid(p) && !strings.HasPrefix(string(p), reason) {
			t.Fatalf("AppendClosePayload(%q) made the reason %q", p, reason)
		}
	})
}
