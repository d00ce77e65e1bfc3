package faults

import (
	"fmt"
	"strings"
	"testing"
)

// good is a run in which nothing is wrong: 20 messages, one of which was sent and never heard of, one of which was refused; two
// clients, each cut once.
func good() (*ledger, []kept) {
	l := newLedger(2)
	var history []kept
	for c := range 2 {
		l.received(c, receipt{kind: "hello", epoch: "e"})
	}
	prev := uint64(0)
	for i := range 20 {
		id, seq := fmt.Sprint("m", i), uint64(3*i+1)
		l.sent(id)
		history = append(history, kept{id, seq, prev})
		for c := range 2 {
			if i == 7+c {
				l.received(c, receipt{kind: "resumed", epoch: "e"})
			}
			l.received(c, receipt{kind: "message", id: id, seq: seq, prev: prev})
		}
		if i != 5 {
			l.settle(id, acknowledged)
		}
		prev = seq
	}
	l.sent("refused")
	l.settle("refused", failed)
	return l, history
}

// The checker itself: each seeded fault is found, and named.
func TestLedger(t *testing.T) {
	l, history := good()
	if v := l.check(history); len(v.wrong) > 0 || v.acknowledged != 19 || v.failed != 1 || v.unknown != 1 || v.unknownKept != 1 || v.receipts != 40 || v.resumes != 2 {
		t.Errorf("nothing is wrong, and the verdict is %+v", v)
	}
	last := func(h []kept) int { return len(h) - 1 }
	for _, c := range []struct {
		fault string
		seed  func(l *ledger, h []kept) []kept
		want  string
	}{
		{"an acknowledged message is lost from the end", func(l *ledger, h []kept) []kept {
			for c := range l.receipts {
				l.receipts[c] = l.receipts[c][:len(l.receipts[c])-1]
			}
			return h[:last(h)]
		}, "lost: m19"},
		{"an acknowledged message is lost from the middle", func(l *ledger, h []kept) []kept { return append(h[:9:9], h[10:]...) }, "lost: m9"},
		{"a message is stored twice", func(l *ledger, h []kept) []kept {
			return append(h, kept{"m4", h[last(h)].seq + 1, h[last(h)].seq})
		}, "m4 stands at 13 and at 59"},
		{"a message comes from nowhere", func(l *ledger, h []kept) []kept {
			return append(h, kept{"x", h[last(h)].seq + 1, h[last(h)].seq})
		}, "x was never sent"},
		{"a refused message is stored", func(l *ledger, h []kept) []kept {
			return append(h, kept{"refused", h[last(h)].seq + 1, h[last(h)].seq})
		}, "refused was refused, and is there"},
		{"a chain is broken", func(l *ledger, h []kept) []kept { h[9].prev = 1; return h }, "its prev is 1"},
		{"a message is shown twice", func(l *ledger, h []kept) []kept {
			rs := l.receipts[1]
			l.receipts[1] = append(rs[:6:6], rs[5:]...)
			return h
		}, "client 1: m4 a second time"},
		{"a message is not shown", func(l *ledger, h []kept) []kept {
			rs := l.receipts[0]
			l.receipts[0] = append(rs[:6:6], rs[7:]...)
			return h
		}, "client 0: a hole"},
		{"the last is not shown", func(l *ledger, h []kept) []kept {
			l.receipts[0] = l.receipts[0][:len(l.receipts[0])-1]
			return h
		}, "client 0: ends at 55 of 58"},
		{"a number is given twice", func(l *ledger, h []kept) []kept { l.receipts[0][5].id = "m3x"; l.sent("m3x"); return h }, "m3x was shown at"},
		{"a client begins afresh", func(l *ledger, h []kept) []kept { l.receipts[0][8].kind = "hello"; return h }, "client 0: begins afresh"},
		{"another epoch", func(l *ledger, h []kept) []kept { l.receipts[0][8].epoch = "f"; return h }, "client 0: resumed in epoch f"},
		{"a gap", func(l *ledger, h []kept) []kept { l.receipts[0][8] = receipt{kind: "gap", seq: 22}; return h }, "client 0: a gap"},
	} {
		l, history := good()
		v := l.check(c.seed(l, history))
		if !strings.Contains(strings.Join(v.wrong, "\n"), c.want) {
			t.Errorf("%s: found %q, want %q", c.fault, v.wrong, c.want)
		}
	}
}
