package journal

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

var records = []*hub.Message{
	{},
	{At: 1795710216939, ID: hub.ID{1, 15: 2}, Prev: 1 << 52, From: hub.Author{ID: "a", Name: "Å 部"}, Payload: []byte("どやさ\n"), Idempotent: true},
	{At: -1, Binary: true, Payload: bytes.Repeat([]byte{0xff}, 70_000)},
}

// A record is exactly what was stored, or it is refused: whatever bit is flipped, wherever
// it is cut, and under the name of another room.
func TestRecord(t *testing.T) {
	for i, m := range records {
		for _, chained := range []bool{true, false} {
			b := appendMessage(nil, "部屋", m, chained)
			got, gotChained, err := parseMessage("部屋", b)
			want := *m
			if !chained {
				want.Prev = 0
			}
			if len(want.Payload) == 0 {
				want.Payload = nil
			}
			if err != nil || gotChained != chained || !reflect.DeepEqual(*got, want) {
				t.Fatalf("record %d: %+v, chained %v, %v; want %+v", i, got, gotChained, err, want)
			}
			if _, _, err := parseMessage("部屋2", b); err == nil {
				t.Errorf("record %d: taken for one of another room", i)
			}
			for at := range min(len(b), 300) {
				if _, _, err := parseMessage("部屋", b[:at]); err == nil {
					t.Fatalf("record %d: cut at %d, and taken for good", i, at)
				}
				for bit := range 8 {
					flipped := bytes.Clone(b)
					flipped[at] ^= 1 << bit
					if _, _, err := parseMessage("部屋", flipped); err == nil {
						t.Fatalf("record %d: bit %d of byte %d flipped, and taken for good", i, bit, at)
					}
				}
			}
		}
	}
	plan := trim{floor: 7, messages: 5, records: 2, gone: []hub.Stored{{ID: hub.ID{3}, Seq: 7, Prev: 5, At: 11}, {ID: hub.ID{4}, Seq: 9, Prev: 7, At: 12}}}
	b := appendTrim(nil, "r", plan)
	if got, err := parseTrim("r", b); err != nil || !reflect.DeepEqual(got, plan) {
		t.Errorf("%+v, %v; want %+v", got, err, plan)
	}
	for at := range b {
		flipped := bytes.Clone(b)
		flipped[at] ^= 1
		if _, err := parseTrim("r", flipped); err == nil {
			t.Errorf("byte %d of a trim flipped, and taken for good", at)
		}
	}
}

// Every room has one token of a subject, and no other room has it.
func TestSubjects(t *testing.T) {
	seen := make(map[string]string)
	for _, room := range []string{"doyasa", "a-b_C9", "部屋", "=", "=3d", "a.b", "*", ">", " ", "\x00probe", "é", "e\u0301", strings.Repeat("𠮷", 64)} {
		token := subjectToken(room)
		if strings.ContainsAny(token, ". *>\t\r\n") || token == "" {
			t.Errorf("%q becomes %q, which is no token", room, token)
		}
		if other, taken := seen[token]; taken {
			t.Errorf("%q and %q both become %q", room, other, token)
		}
		seen[token] = room
		if back, err := roomOf(token); back != room || err != nil {
			t.Errorf("%q becomes %q becomes %q, %v", room, token, back, err)
		}
	}
	for _, token := range []string{"", "=", "=g0", "=3", "=61", "=E3", "a=", "部屋"} {
		if room, err := roomOf(token); err == nil {
			t.Errorf("%q is taken for %q", token, room)
		}
	}
}

// Whatever bytes are found in the stream, reading them ends, and what is taken for a
// message is written the same way again.
func FuzzRecord(f *testing.F) {
	for _, m := range records[:2] {
		f.Add("r", appendMessage(nil, "r", m, true))
	}
	f.Add("r", appendTrim(nil, "r", trim{floor: 1, gone: []hub.Stored{{Seq: 1}}}))
	f.Fuzz(func(t *testing.T, room string, b []byte) {
		b = appendSum(b, room) // a good sum, so that what is behind it is reached
		if m, chained, err := parseMessage(room, b); err == nil {
			again := appendMessage(nil, room, m, chained)
			if back, _, err := parseMessage(room, again); err != nil || !reflect.DeepEqual(back, m) {
				t.Errorf("%+v is read back as %+v, %v", m, back, err)
			}
		}
		if plan, err := parseTrim(room, b); err == nil {
			if back, err := parseTrim(room, appendTrim(nil, room, plan)); err != nil || !reflect.DeepEqual(back, plan) {
				t.Errorf("%+v is read back as %+v, %v", plan, back, err)
			}
		}
	})
}
