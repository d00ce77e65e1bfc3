package hub

import (
	"errors"
	"slices"
)

// ErrOvertaken means that the log has dropped the records after the cursor. To go on, move
// the cursor to the end of the log with Skip, or to another place with Seek.
var ErrOvertaken = errors.New("hub: overtaken by the log")

// A Cursor is a place in a log. It belongs to one goroutine at a time.
type Cursor struct {
	log   *Log
	chunk *chunk
	off   int
}

// Due returns the bytes to write now, up to the end of a chunk. It returns none if the cursor
// is at the end of the log. All members share the bytes, which must not be changed.
func (c *Cursor) Due() ([]byte, error) {
	for {
		// The link is loaded first: once there is a next chunk, this one is complete.
		next := c.chunk.next.Load()
		end := int(c.chunk.published.Load())
		if c.off < end {
			return c.chunk.buf[c.off:end:end], nil
		}
		if next == nil {
			return nil, nil
		}
		if next == cut {
			// If the oldest chunk begins where this one ends, no other chunk was evicted,
			// and the cursor has missed nothing.
			if next = c.log.oldest.Load(); next.base != c.Offset() {
				return nil, ErrOvertaken
			}
		}
		c.chunk, c.off = next, 0
	}
}

// Advance moves the cursor past n bytes, because the first n bytes that Due returned have
// been written.
func (c *Cursor) Advance(n int) { c.off += n }

// Rest returns the unwritten bytes of a record of which a part has been written. It returns
// none if the cursor is between two records. Only then may bytes that are not from the log be
// written.
func (c *Cursor) Rest() []byte {
	end := c.chunk.recordEnd(c.off)
	return c.chunk.buf[c.off:end:end]
}

// Offset is the number of bytes of the log before the cursor, dropped ones included.
func (c *Cursor) Offset() int64 { return c.chunk.base + int64(c.off) }

// Seq is the last Seq before the cursor.
func (c *Cursor) Seq() uint64 { return c.chunk.seqBefore(c.off) }

// End returns the log's present end: its offset, and the last Seq before it.
func (c *Cursor) End() (offset int64, seq uint64) {
	at := Cursor{log: c.log}
	at.toEnd()
	return at.Offset(), at.Seq()
}

// Skip moves an overtaken cursor to the end of the log. It returns the first and the last
// Seq that the cursor has skipped. If from > to, it has skipped no Seq.
func (c *Cursor) Skip() (from, to uint64) {
	from = c.Seq() + 1
	c.toEnd()
	return from, c.Seq()
}

func (c *Cursor) toEnd() {
	c.chunk = c.log.tail.Load()
	c.off = int(c.chunk.published.Load())
}

// Seek moves the cursor to right after seq, and tells whether the log reaches back that far.
// If not, the cursor stays where it is. seq must not be beyond End. A caller that reads
// missed messages in pages must query only messages before End's Seq + 1, because a journal
// may be ahead of the log.
func (c *Cursor) Seek(seq uint64) bool {
	at := c.log.oldest.Load()
	if seq < at.prev {
		return false
	}
	for {
		next := at.next.Load()
		if next == cut {
			return false // at was evicted during the search
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
