package hub

import (
	"slices"
	"sync/atomic"
)

// A Log is the transmit window of a room in one form: the wire bytes of its newest
// messages, in chunks. The hub goroutine appends and evicts; any number of cursors read
// without a lock.
//
//	evicted        oldest                         tail
//	[4 KiB] -cut   [8 KiB] -> [16 KiB] -> … ->  [256 KiB ......|      ]
//	                                                     published
//
// Only messages enter a log, so whatever lies between a record end and the published
// end is whole records, the same for everybody.
type Log struct {
	form *Form // immutable

	// Owned by the hub goroutine.
	chunks  []*chunk // oldest to tail
	bytes   int      // of all chunks
	members int
	grown   bool // since the watchers were last woken

	watchers watchers

	// Written by the hub goroutine, read by cursors.
	oldest atomic.Pointer[chunk]
	tail   atomic.Pointer[chunk]
	people atomic.Pointer[[]byte]
	newest atomic.Int64 // by Hub.clock, when the room took up the newest message that was there at the last wake
}

const (
	firstChunk = 4 << 10  // a quiet room's log stays this small
	ownChunk   = 64 << 10 // a record above this has a chunk of its own
)

// A chunk holds whole records, back to back. It is never reused: when it has been
// evicted somebody may still be writing it to a socket, so it is left to the collector.
type chunk struct {
	// Immutable.
	base int64  // offset in the log of its first byte
	prev uint64 // Seq before its first record
	buf  []byte // at full length; what lies below published never changes and alone is read

	// Written by the hub goroutine alone.
	index     atomic.Pointer[[]record] // replaced when it grows
	count     atomic.Int64             // entries of index; stored before published
	published atomic.Int64             // bytes of buf that may be read

	next atomic.Pointer[chunk] // nil at the tail, cut once evicted
}

// A record is where one message ends in a chunk, and its Seq. A transient message
// repeats the Seq before it.
type record struct {
	end int
	seq uint64
}

// cut is the forward link of an evicted chunk, so that a lagging cursor holds on to
// one chunk and not to all that followed.
var cut = new(chunk)

// newLog returns an empty log that begins behind seq.
func newLog(form *Form, seq uint64) *Log {
	l := &Log{form: form}
	l.link(&chunk{prev: seq})
	return l
}

// append encodes m at the end of the log and publishes it; false means that the form
// does not show m. A new chunk has at most maxChunk bytes, or one record, and is added
// to total.
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
		copy(c.buf[used:], wire) // there already, unless the encoder wanted more room meanwhile
		c.push(r)
		return true
	}
	size := min(max(2*len(c.buf), firstChunk), maxChunk)
	next := &chunk{base: c.base + int64(used), prev: c.seqBefore(used)}
	switch {
	case len(wire) <= min(ownChunk, size):
		next.buf = make([]byte, size)
		copy(next.buf, wire)
	case len(wire) > cap(free): // it has been appended to memory of its own already
		size = len(wire)
		next.buf = wire[:size:size]
	default:
		size = len(wire)
		next.buf = slices.Clone(wire)
	}
	r.end = len(wire)
	next.push(r)
	l.link(next) // only now: a chunk behind another is never empty
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

// evict drops the oldest chunk and takes it off total; false if it is the only one.
func (l *Log) evict(total *atomic.Int64) bool {
	if len(l.chunks) < 2 {
		return false
	}
	c := l.chunks[0]
	l.chunks[0] = nil
	l.chunks = l.chunks[1:]
	l.oldest.Store(l.chunks[0])
	c.next.Store(cut) // after oldest, so that who finds it cut finds the new oldest
	l.bytes -= len(c.buf)
	total.Add(int64(-len(c.buf)))
	return true
}

// push publishes the record that ends at r.end. The order of the stores is what makes
// the readers' order of loads safe.
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

// records returns the entries of all bytes that were published before the call.
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

// recordEnd returns the end of the record that contains byte off, or off itself if a
// record ends there.
func (c *chunk) recordEnd(off int) int {
	rs := c.records()
	i, _ := slices.BinarySearchFunc(rs, off, func(r record, off int) int { return r.end - off })
	if off == 0 || i == len(rs) {
		return off
	}
	return rs[i].end
}
