package hub

import (
	"errors"
	"slices"
)

// ErrOvertaken: the log has moved past the cursor, and what follows it is gone from the
// log. Skip goes on at the head, Seek at another place.
var ErrOvertaken = errors.New("hub: overtaken by the log")

// A Cursor is a place in a log. It belongs to one goroutine at a time.
type Cursor struct {
	log   *Log
	chunk *chunk
	off   int
}

// Due returns the bytes to write now, none if the cursor is at the head. They are
// shared and must not be changed. What lies in the next chunk is due after that.
func (c *Cursor) Due() ([]byte, error) {
	for {
		// Once there is a next chunk, this one has got its last record: the link is
		// looked at first.
		next := c.chunk.next.Load()
		end := int(c.chunk.published.Load())
		if c.off < end {
			return c.chunk.buf[c.off:end:end], nil
		}
		if next == nil {
			return nil, nil
		}
		if next == cut {
			// Nothing is lost as long as the oldest chunk is the one that followed.
			if next = c.log.oldest.Load(); next.base != c.Offset() {
				return nil, ErrOvertaken
			}
		}
		c.chunk, c.off = next, 0
	}
}

// Advance says that n bytes of what Due returned have been written.
func (c *Cursor) Advance(n int) { c.off += n }

// Rest is what is left of the record in progress: nothing, unless a write ended inside
// a record. Only when it is empty may other bytes be written in between.
func (c *Cursor) Rest() []byte {
	end := c.chunk.recordEnd(c.off)
	return c.chunk.buf[c.off:end:end]
}

// Offset is the number of bytes in front of the cursor since the log began.
func (c *Cursor) Offset() int64 { return c.chunk.base + int64(c.off) }

// Seq is the last Seq in front of the cursor.
func (c *Cursor) Seq() uint64 { return c.chunk.seqBefore(c.off) }

// End returns the log's present end: its offset, and the last Seq in front of it.
func (c *Cursor) End() (offset int64, seq uint64) {
	at := Cursor{log: c.log}
	at.toEnd()
	return at.Offset(), at.Seq()
}

// Skip moves an overtaken cursor to the end of the log and returns the positions left
// out, from and to included. from > to means that no position was.
func (c *Cursor) Skip() (from, to uint64) {
	from = c.Seq() + 1
	c.toEnd()
	return from, c.Seq()
}

func (c *Cursor) toEnd() {
	c.chunk = c.log.tail.Load()
	c.off = int(c.chunk.published.Load())
}

// Seek moves the cursor to just behind seq, and tells whether the log reaches back
// that far. If not, the cursor stays where it is. A seq beyond End is the caller's
// mistake: who catches up with pages asks for those before End's Seq + 1, because a
// journal may be ahead of the log.
func (c *Cursor) Seek(seq uint64) bool {
	at := c.log.oldest.Load()
	if seq < at.prev {
		return false
	}
	for {
		next := at.next.Load()
		if next == cut {
			return false // evicted while we looked
		}
		if next == nil || next.prev > seq {
			break
		}
		at = next
	}
	rs := at.records()
	i, _ := slices.BinarySearchFunc(rs, seq+1, func(r record, seq uint64) int {
		if r.seq < seq {
			return -1
		}
		return 1
	})
	c.chunk, c.off = at, 0
	if i > 0 {
		c.off = rs[i-1].end
	}
	return true
}
