package hub

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"weak"
)

// plain shows the payload as it is.
var plain = &Form{Message: func(dst []byte, m *Message) []byte { return append(dst, m.Payload...) }}

// logTest is a log with its options and its total.
type logTest struct {
	*testing.T
	*Log
	maxChunk int
	total    atomic.Int64
	seq      uint64
}

func newLogTest(t *testing.T, maxChunk int) *logTest {
	return &logTest{T: t, Log: newLog(plain, 0), maxChunk: maxChunk}
}

// add appends one message. Its payload repeats the low byte of its Seq, size times.
func (l *logTest) add(size int) {
	l.seq++
	payload := bytes.Repeat([]byte{byte(l.seq)}, size)
	l.append(&Message{Seq: l.seq, Prev: l.seq - 1, Payload: payload}, l.maxChunk, &l.total)
}

// cursor returns one at the end.
func (l *logTest) cursor() *Cursor {
	c := &Cursor{log: l.Log}
	c.toEnd()
	return c
}

func (l *logTest) sizes() []int {
	var sizes []int
	for _, c := range l.chunks {
		sizes = append(sizes, len(c.buf))
	}
	return sizes
}

func TestChunkSizes(t *testing.T) {
	const kib = 1 << 10
	for _, c := range []struct {
		name     string
		maxChunk int
		records  []int
		want     []int // sizes of the chunks after the empty first one
	}{
		{"a quiet room", 256 * kib, []int{1}, []int{4 * kib}},
		{"exactly full", 256 * kib, []int{4 * kib}, []int{4 * kib}},
		{"one byte more", 256 * kib, []int{4 * kib, 1}, []int{4 * kib, 8 * kib}},
		{"no record is split", 256 * kib, []int{4*kib - 1, 2}, []int{4 * kib, 8 * kib}},
		{"doubling", 256 * kib, slices.Repeat([]int{4 * kib}, 256), []int{
			4 * kib, 8 * kib, 16 * kib, 32 * kib, 64 * kib, 128 * kib, 256 * kib, 256 * kib, 256 * kib, 256 * kib}},
		{"above the next size", 256 * kib, []int{6 * kib}, []int{6 * kib}},
		{"not yet a chunk of its own", 256 * kib, append(slices.Repeat([]int{64 * kib}, 4), 64*kib), []int{
			64 * kib, 128 * kib, 256 * kib}},
		{"a chunk of its own", 256 * kib, []int{1, 64*kib + 1, 1}, []int{4 * kib, 64*kib + 1, 128*kib + 2}},
		{"of its own though there is space", 256 * kib, append(slices.Repeat([]int{32 * kib}, 4), 64*kib+1), []int{
			32 * kib, 64 * kib, 128 * kib, 64*kib + 1}},
		{"small chunks", 64, []int{30, 30, 30, 65, 1}, []int{64, 64, 65, 64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogTest(t, c.maxChunk)
			at, want := l.cursor(), 0
			for _, size := range c.records {
				l.add(size)
				want += size
			}
			if got := l.sizes()[1:]; !slices.Equal(got, c.want) {
				t.Errorf("chunks of %v bytes, want %v", got, c.want)
			}
			sum := 0
			for _, size := range l.sizes() {
				sum += size
			}
			if l.bytes != sum || l.total.Load() != int64(sum) {
				t.Errorf("counted %d bytes, and %d in all, want %d", l.bytes, l.total.Load(), sum)
			}
			if got, _ := at.End(); got != int64(want) {
				t.Errorf("End = %d, want %d", got, want)
			}
		})
	}
}

// An encoder may grow dst by more than it needs, and then its bytes are in other memory.
func TestEncoderOutgrowsTheChunk(t *testing.T) {
	l := newLogTest(t, 64)
	l.form = &Form{Message: func(dst []byte, m *Message) []byte {
		return append(slices.Grow(dst, 1000), m.Payload...)
	}}
	at := l.cursor()
	for range 4 {
		l.add(20)
	}
	var got []byte
	for {
		due, err := at.Due()
		if err != nil {
			t.Fatal(err)
		}
		if len(due) == 0 {
			break
		}
		got = append(got, due...)
		at.Advance(len(due))
	}
	want := strings.Repeat("\x01", 20) + strings.Repeat("\x02", 20) + strings.Repeat("\x03", 20) + strings.Repeat("\x04", 20)
	if string(got) != want {
		t.Errorf("read %x, want %x", got, want)
	}
}

func TestEvict(t *testing.T) {
	l := newLogTest(t, 64)
	if l.evict(&l.total) {
		t.Error("an empty log was evicted from")
	}
	for range 6 { // two in each chunk
		l.add(32)
	}
	for i, want := range []int64{192, 128, 64} {
		if !l.evict(&l.total) { // the first chunk is the empty one
			t.Fatalf("evict %d = false", i)
		}
		if int64(l.bytes) != want || l.total.Load() != want {
			t.Errorf("evict %d leaves %d bytes, and %d in all, want %d", i, l.bytes, l.total.Load(), want)
		}
	}
	if l.evict(&l.total) {
		t.Error("the newest chunk was evicted")
	}
	if at := l.oldest.Load(); at.base != 128 || at.prev != 4 || at != l.tail.Load() {
		t.Errorf("oldest chunk at %d after Seq %d, want 128 and 4", at.base, at.prev)
	}
}

// A message that the form does not show has no record in the log.
func TestNotShown(t *testing.T) {
	l := newLogTest(t, 64)
	l.add(10)
	l.add(0)
	if got := len(l.tail.Load().records()); got != 1 {
		t.Errorf("%d records, want 1", got)
	}
	if l.append(&Message{Seq: 3}, 64, &l.total) {
		t.Error("append of nothing = true")
	}
	if got := l.cursor().Seq(); got != 1 {
		t.Errorf("Seq %d, want 1", got)
	}
}

// A cursor that lags keeps its own chunk in memory, and none of those that followed.
func TestLaggingCursorPinsOneChunk(t *testing.T) {
	l := newLogTest(t, 1<<10)
	l.add(1 << 10)
	lagging := l.cursor()
	lagging.Seek(0)
	if due, err := lagging.Due(); len(due) != 1<<10 || err != nil {
		t.Fatalf("Due = %d bytes, %v", len(due), err)
	}
	lagging.Advance(1)
	var gone []weak.Pointer[chunk]
	for range 100 {
		l.add(1 << 10)
		for len(l.chunks) > 2 {
			if c := l.chunks[0]; c != lagging.chunk {
				gone = append(gone, weak.Make(c))
			}
			l.evict(&l.total)
		}
	}
	runtime.GC()
	held := 0
	for _, p := range gone {
		if p.Value() != nil {
			held++
		}
	}
	if held > 0 || len(gone) < 90 {
		t.Errorf("%d of %d evicted chunks are held, want none", held, len(gone))
	}
	if rest := lagging.Rest(); len(rest) != 1<<10-1 || rest[0] != 1 {
		t.Errorf("the lagging cursor has %d bytes of its record left, want %d", len(rest), 1<<10-1)
	}
	runtime.KeepAlive(l)
}

// One goroutine appends and evicts; the cursors check every byte that they are given. A
// single cursor at the end of the log is most likely to see a half published record, many in
// a short log are most likely to be overtaken.
func TestOneAppenderManyCursors(t *testing.T) {
	for _, c := range []struct {
		name             string
		cursors, records int
		bytes            int // of the log
	}{
		{"at the head", 1, 100_000, 1 << 20},
		{"overtaken", 4, 50_000, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogTest(t, 128)
			var ended atomic.Bool
			done := make(chan string, c.cursors) // the first error, or empty; each cursor's goroutine sends once, never closed
			for range c.cursors {
				cursor := l.cursor()
				go func() { done <- follow(cursor, &ended) }()
			}
			for i := range c.records {
				l.seq++
				payload := make([]byte, 8+i%60)
				payload[0] = byte(len(payload))
				binary.BigEndian.PutUint32(payload[1:], uint32(l.seq))
				l.append(&Message{Seq: l.seq, Payload: payload}, l.maxChunk, &l.total)
				for l.bytes > c.bytes {
					l.evict(&l.total)
				}
			}
			ended.Store(true)
			for range c.cursors {
				if wrong := <-done; wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}
