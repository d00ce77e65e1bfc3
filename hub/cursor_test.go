package hub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// follow reads the records of TestOneAppenderManyCursors to the end of the log, and returns
// the first error.
func follow(c *Cursor, ended *atomic.Bool) string {
	seq := c.Seq()
	for {
		last := ended.Load()
		due, err := c.Due()
		switch {
		case errors.Is(err, ErrOvertaken):
			if c.log.oldest.Load().base == c.Offset() {
				return fmt.Sprintf("after Seq %d: overtaken, but the next record is still there", seq)
			}
			from, to := c.Skip()
			if from != seq+1 || to < from {
				return fmt.Sprintf("after Seq %d: skipped %d to %d", seq, from, to)
			}
			seq = to
		case len(due) == 0 && last:
			if end, head := c.End(); end != c.Offset() || head != seq {
				return fmt.Sprintf("ended at %d after Seq %d, want %d and %d", c.Offset(), seq, end, head)
			}
			return ""
		case len(due) == 0:
			runtime.Gosched()
		default:
			c.Advance(1) // in the middle of a record
			size := int(due[0])
			if size > len(due) || len(c.Rest()) != size-1 {
				return fmt.Sprintf("after Seq %d: %d bytes due and %d left of a record of %d", seq, len(due), len(c.Rest()), size)
			}
			seq++
			if got := uint64(binary.BigEndian.Uint32(due[1:])); got != seq {
				return fmt.Sprintf("Seq %d after %d", got, seq-1)
			}
			for _, b := range due[5:size] {
				if b != 0 {
					return fmt.Sprintf("Seq %d has byte %x, want 0", seq, b)
				}
			}
			c.Advance(size - 1)
			if c.Seq() != seq {
				return fmt.Sprintf("cursor at Seq %d, want %d", c.Seq(), seq)
			}
		}
	}
}

// uneven is a log of records of 1 to 40 bytes in chunks of 64.
func uneven(t *testing.T) *logTest {
	l := newLogTest(t, 64)
	for n := 1; n <= 40; n++ {
		l.add(n)
	}
	return l
}

func TestRestAtEveryOffset(t *testing.T) {
	l := uneven(t)
	c := l.cursor()
	c.Seek(0)
	for seq := 1; seq <= 40; seq++ {
		for written := range seq {
			due, err := c.Due()
			if err != nil || len(due) == 0 || due[0] != byte(seq) {
				t.Fatalf("Due at %d of record %d = %x, %v", written, seq, due, err)
			}
			want := seq - written
			if written == 0 {
				want = 0
			}
			if got := len(c.Rest()); got != want {
				t.Errorf("Rest at %d of record %d has %d bytes, want %d", written, seq, got, want)
			}
			if got := c.Seq(); got != uint64(seq-1) {
				t.Errorf("Seq at %d of record %d = %d, want %d", written, seq, got, seq-1)
			}
			c.Advance(1)
		}
		if got := c.Offset(); got != int64(seq*(seq+1)/2) {
			t.Errorf("Offset after record %d = %d, want %d", seq, got, seq*(seq+1)/2)
		}
		if got := len(c.Rest()); got != 0 {
			t.Errorf("Rest after record %d has %d bytes, want none", seq, got)
		}
	}
	if due, err := c.Due(); len(due) > 0 || err != nil {
		t.Errorf("Due at the end = %d bytes, %v, want none", len(due), err)
	}
}

func TestSeekAtEverySeq(t *testing.T) {
	l := uneven(t)
	for range 5 {
		l.evict(&l.total)
	}
	reach := l.oldest.Load().prev
	if reach < 5 || reach > 35 {
		t.Fatalf("the log begins after Seq %d, want somewhere in the middle", reach)
	}
	for seq := range uint64(41) {
		c := l.cursor()
		before := *c
		if got, want := c.Seek(seq), seq >= reach; got != want {
			t.Errorf("Seek(%d) = %v in a log that begins after Seq %d", seq, got, reach)
		}
		if seq < reach {
			if *c != before {
				t.Errorf("Seek(%d) in vain moved the cursor", seq)
			}
			continue
		}
		if want := int64(seq * (seq + 1) / 2); c.Offset() != want || c.Seq() != seq {
			t.Errorf("Seek(%d) at offset %d, Seq %d, want %d", seq, c.Offset(), c.Seq(), want)
		}
		due, err := c.Due()
		if err != nil || (len(due) == 0) != (seq == 40) || len(due) > 0 && due[0] != byte(seq+1) {
			t.Errorf("Due after Seek(%d) = %x, %v", seq, due, err)
		}
	}
}

// In a room whose numbers have holes, Seek goes after the last message whose number is not
// above.
func TestSeekBetween(t *testing.T) {
	l := newLogTest(t, 64)
	for range 10 {
		l.seq += 9 // 10, 20, …
		l.add(30)
	}
	for seq := range uint64(100) {
		if c := l.cursor(); !c.Seek(seq) || c.Seq() != seq/10*10 {
			t.Errorf("Seek(%d) at Seq %d, want %d", seq, c.Seq(), seq/10*10)
		}
	}
}

// A transient record belongs to the Seq before it.
func TestSeekAfterTransient(t *testing.T) {
	l := newLogTest(t, 1<<10)
	l.add(10)
	l.append(&Message{Transient: true, Payload: []byte("passing")}, l.maxChunk, &l.total)
	l.add(10)
	c := l.cursor()
	if !c.Seek(1) || c.Offset() != 17 || c.Seq() != 1 {
		t.Errorf("Seek(1) at offset %d, Seq %d, want 17 and 1", c.Offset(), c.Seq())
	}
}

// A cursor at the end of a chunk loses nothing when that chunk is evicted. When the next one
// is evicted, too, there is a gap with exact bounds.
func TestEvictedUnderTheCursor(t *testing.T) {
	for _, c := range []struct {
		name     string
		seq      uint64 // where the cursor stands; chunks end after 2, 4, 6 and 8
		evicted  int    // chunks, the empty one first
		due      byte   // Seq of what is due, 0 if overtaken
		from, to uint64
	}{
		{"at the end of the chunk before the oldest", 2, 2, 3, 0, 0},
		{"one chunk further back", 2, 3, 0, 3, 8},
		{"two chunks further back", 2, 4, 0, 3, 8},
		{"inside the chunk before the oldest", 1, 2, 2, 0, 0},
		{"inside, further back: first its own chunk", 1, 4, 2, 3, 8},
		{"at the beginning", 0, 1, 1, 0, 0},
		{"at the beginning, overtaken", 0, 2, 0, 1, 8},
		{"in the oldest", 4, 3, 5, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogTest(t, 64)
			for l.seq < c.seq {
				l.add(32)
			}
			at := l.cursor()
			for l.seq < 8 {
				l.add(32)
			}
			for range c.evicted {
				l.evict(&l.total)
			}
			due, err := at.Due()
			if c.due == 0 {
				if !errors.Is(err, ErrOvertaken) {
					t.Fatalf("Due = %x, %v, want %v", due, err, ErrOvertaken)
				}
			} else if err != nil || due[0] != c.due {
				t.Fatalf("Due = %x, %v, want Seq %d", due, err, c.due)
			}
			for err == nil && len(due) > 0 {
				at.Advance(len(due))
				due, err = at.Due()
			}
			if c.from == 0 {
				if err != nil || at.Seq() != 8 {
					t.Errorf("read to Seq %d, %v, want 8", at.Seq(), err)
				}
				return
			}
			from, to := at.Skip()
			if from != c.from || to != c.to {
				t.Errorf("Skip = %d, %d, want %d, %d", from, to, c.from, c.to)
			}
			if end, seq := at.End(); at.Offset() != end || seq != 8 {
				t.Errorf("Skip to %d, want %d", at.Offset(), end)
			}
		})
	}
}

// A skip over transient messages alone is not a gap.
func TestSkipWithoutAGap(t *testing.T) {
	l := newLogTest(t, 64)
	l.add(10)
	at := l.cursor()
	for range 5 {
		l.append(&Message{Transient: true, Payload: make([]byte, 64)}, 64, &l.total)
		for l.evict(&l.total) {
		}
	}
	if _, err := at.Due(); !errors.Is(err, ErrOvertaken) {
		t.Fatalf("Due = %v, want %v", err, ErrOvertaken)
	}
	if from, to := at.Skip(); from != 2 || to != 1 {
		t.Errorf("Skip = %d, %d, want 2, 1", from, to)
	}
}
