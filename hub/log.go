package hub

import (
	"slices"
	"sync/atomic"
)

// A Log is the transmit window of a room in one form: the wire bytes of its newest
// messages, in chunks. The hub goroutine appends and evicts. Any number of cursors read
// without a lock.
//
//	evicted        oldest                         tail
//	[4 KiB] -cut   [8 KiB] -> [16 KiB] -> … ->  [256 KiB ......|      ]
//	                                                     published
//
// A log has only messages, and no bytes for a single member. So the bytes from the end of
// any record to the published end are whole records, and the same for all members.
type Log struct {
	form *Form // immutable

	// Owned by the hub goroutine.
	chunks  []*chunk // oldest to tail
	bytes   int      // the size of all chunks
	members int
	grown   bool // the log has grown since the watchers were last woken

	watchers watchers

	// Written by the hub goroutine, read by cursors.
	oldest atomic.Pointer[chunk]
	tail   atomic.Pointer[chunk]
	people atomic.Pointer[[]byte]
	newest atomic.Int64 // when the room received the newest message that the last wake was for, by Hub.clock
}

const (
	firstChunk = 4 << 10  // the size of a log's first chunk, small because most rooms are quiet
	ownChunk   = 64 << 10 // a record of more bytes gets a chunk of its own
)

// A chunk holds whole records without gaps. Its memory is never reused, because after the
// chunk was evicted an owner may still be writing it to a socket. The garbage collector
// frees it.
type chunk struct {
	// Immutable.
	base int64  // offset of the chunk's first byte in the log
	prev uint64 // Seq before the chunk's first record
	buf  []byte // has its full length from the start; bytes below published never change, and cursors read only those

	// Written by the hub goroutine alone.
	index     atomic.Pointer[[]record] // replaced when it grows
	count     atomic.Int64             // entries of index; stored before published
	published atomic.Int64             // how many bytes of buf may be read

	next atomic.Pointer[chunk] // nil for the tail, cut after the chunk was evicted
}

// A record is one message in a chunk.
type record struct {
	end int    // offset in the chunk after its last byte
	seq uint64 // the message's Seq; for a transient message the Seq before it
}

// cut is the sentinel for next of an evicted chunk. Otherwise a slow cursor would keep its
// chunk and all later chunks in memory.
var cut = new(chunk)

// newLog returns an empty log that begins after seq.
func newLog(form *Form, seq uint64) *Log {
	l := &Log{form: form}
	l.link(&chunk{prev: seq})
	return l
}

// append encodes m at the end of the log and publishes it. It returns false if the form does
// not show m. A new chunk has at most maxChunk bytes, unless it holds one larger record. Its
// size is added to total.
func (l *Log) append(m *Message, maxChunk int, total *atomic.Int64) bool {
	c := l.tail.Load()
	used := int(c.published.Load())
	free := c.buf[used:used:len(c.buf)] // nobody reads beyond published
	wire := l.form.Message(free, m)
	if len(wire) == 0 {
		return false
	}
	r := record{end: used + len(wire), seq: m.Seq}
	if m.Transient {
		r.seq = c.seqBefore(used)
	}
	if len(wire) <= min(cap(free), ownChunk) {
		copy(c.buf[used:], wire) // wire is in place already, unless the encoder has allocated
		c.push(r)
		return true
	}
	size := min(max(2*len(c.buf), firstChunk), maxChunk)
	next := &chunk{base: c.base + int64(used), prev: c.seqBefore(used)}
	switch {
	case len(wire) <= min(ownChunk, size):
		next.buf = make([]byte, size)
		copy(next.buf, wire)
	case len(wire) > cap(free): // the encoder has allocated, so use its memory as the chunk
		size = len(wire)
		next.buf = wire[:size:size]
	default:
		size = len(wire)
		next.buf = slices.Clone(wire)
	}
	r.end = len(wire)
	next.push(r)
	l.link(next) // after push, because only the first chunk of a log may be empty
	total.Add(int64(size))
	return true
}

// link makes c the tail.
func (l *Log) link(c *chunk) {
	l.chunks = append(l.chunks, c)
	l.bytes += len(c.buf)
	if old := l.tail.Swap(c); old != nil {
		old.next.Store(c)
	} else {
		l.oldest.Store(c)
	}
}

// evict drops the oldest chunk and subtracts its size from total. It returns false if the
// log has only one chunk.
func (l *Log) evict(total *atomic.Int64) bool {
	if len(l.chunks) < 2 {
		return false
	}
	c := l.chunks[0]
	l.chunks[0] = nil
	l.chunks = l.chunks[1:]
	l.oldest.Store(l.chunks[0])
	c.next.Store(cut) // after oldest, so that a cursor that finds cut then loads the new oldest
	l.bytes -= len(c.buf)
	total.Add(int64(-len(c.buf)))
	return true
}

// push publishes the record that ends at r.end. Cursors load published first, then count,
// then index, so push must store them in the opposite order.
func (c *chunk) push(r record) {
	n := int(c.count.Load())
	p := c.index.Load()
	if p == nil || n == len(*p) {
		grown := make([]record, max(8, 2*n))
		if p != nil {
			copy(grown, *p)
		}
		p = &grown
		c.index.Store(p)
	}
	(*p)[n] = r
	c.count.Store(int64(n + 1))
	c.published.Store(int64(r.end))
}

// records returns the records of all bytes that were published before the call.
func (c *chunk) records() []record {
	n := c.count.Load()
	if n == 0 {
		return nil
	}
	return (*c.index.Load())[:n]
}

// seqBefore returns the Seq of the last record that ends at or before off.
func (c *chunk) seqBefore(off int) uint64 {
	rs := c.records()
	i, _ := slices.BinarySearchFunc(rs, off+1, func(r record, off int) int { return r.end - off })
	if i == 0 {
		return c.prev
	}
	return rs[i-1].seq
}

// recordEnd returns the end of the record that contains byte off, or off itself between two
// records.
func (c *chunk) recordEnd(off int) int {
	rs := c.records()
	i, _ := slices.BinarySearchFunc(rs, off, func(r record, off int) int { return r.end - off })
	if off == 0 || i == len(rs) {
		return off
	}
	return rs[i].end
}
