package hub

import "testing"

// One message of 64 bytes at the end of a log of 4 MiB.
func BenchmarkLogAppend(b *testing.B) {
	l := &logTest{Log: newLog(plain, 0)}
	m := &Message{Payload: make([]byte, 64)}
	b.ReportAllocs()
	b.SetBytes(64)
	for b.Loop() {
		m.Seq++
		l.append(m, 256<<10, &l.total)
		for l.bytes > 4<<20 {
			l.evict(&l.total)
		}
	}
}

// A cursor that finds one message due, and then none, in a full log.
func BenchmarkCursorDue(b *testing.B) {
	l := &logTest{Log: newLog(plain, 0)}
	for range 50_000 {
		l.seq++
		l.append(&Message{Seq: l.seq, Payload: make([]byte, 64)}, 256<<10, &l.total)
	}
	end := l.cursor()
	start := *end
	start.off -= 64
	b.ReportAllocs()
	for b.Loop() {
		at := start
		due, _ := at.Due()
		at.Advance(len(due))
		if more, _ := at.Due(); len(due) != 64 || len(more) != 0 {
			b.Fatal(len(due), len(more))
		}
	}
}

func BenchmarkSeek(b *testing.B) {
	l := &logTest{Log: newLog(plain, 0)}
	for range 50_000 {
		l.seq++
		l.append(&Message{Seq: l.seq, Payload: make([]byte, 64)}, 256<<10, &l.total)
	}
	at := l.cursor()
	b.ReportAllocs()
	for seq := uint64(0); b.Loop(); seq = (seq + 7919) % l.seq {
		if !at.Seek(seq) {
			b.Fatal(seq)
		}
	}
}
