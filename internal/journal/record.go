package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/doyasa/doyasa/hub"
)

// The kinds of records. A record whose kind this version does not know changes nothing, and is kept for later versions.
const (
	kindBase    = 1 // the epoch of the store; it is the first record, and is stored again to try whether a disk that failed takes records
	kindMessage = 2
	kindKnown   = 3 // replaces a message whose text was removed, but whose id is still remembered
	kindTrim    = 4 // says which messages and ids of a room are not kept any longer
)

// A record is one entry of the order. On the disk it is
//
//	version 1 | kind 1 | seq 8 | room
//	base:           epoch | padding, a text of zeros
//	message, known: flags 1 | at 8 | id 16 | prev, and for a message: from.ID | from.Name | payload
//	trim:           floor | forgotten
//
// Fixed numbers are little endian and the others uvarints; the length of a text stands before it as a uvarint.
type record struct {
	kind byte
	seq  uint64
	room string

	epoch     string       // of a base
	padding   int          // of a base: how many zeros it has, so that a trial needs as much space as the batch that failed
	message   *hub.Message // of a message; of a known one, where it has neither From nor Payload
	floor     uint64       // of a trim: messages up to this Seq are not kept
	forgotten uint64       // of a trim: the ids of messages up to this Seq are not remembered
}

const (
	recordVersion = 1

	flagIdempotent = 1 << 0
	flagBinary     = 1 << 1
)

// knownSize is the largest size in bytes of a kindKnown record on the disk, without the name of its room.
const knownSize = 60

var errRecord = errors.New("a record makes no sense")

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendRecord appends the bytes of a record.
func appendRecord(dst []byte, r record) []byte {
	dst = append(dst, recordVersion, r.kind)
	dst = binary.LittleEndian.AppendUint64(dst, r.seq)
	dst = appendText(dst, r.room)
	switch r.kind {
	case kindBase:
		return appendText(appendText(dst, r.epoch), make([]byte, r.padding))
	case kindTrim:
		dst = binary.AppendUvarint(dst, r.floor)
		return binary.AppendUvarint(dst, r.forgotten)
	}
	m := r.message
	var flags byte
	if m.Idempotent {
		flags |= flagIdempotent
	}
	if m.Binary {
		flags |= flagBinary
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.At))
	dst = append(dst, m.ID[:]...)
	dst = binary.AppendUvarint(dst, m.Prev)
	if r.kind == kindKnown {
		return dst
	}
	dst = appendText(dst, m.From.ID)
	dst = appendText(dst, m.From.Name)
	return appendText(dst, m.Payload)
}

// parseRecord is the inverse of appendRecord. The record shares no memory with b.
func parseRecord(b []byte) (r record, err error) {
	p := parser{b: b}
	if v := p.bytes(2); p.err == nil {
		if v[0] != recordVersion {
			return r, fmt.Errorf("a record of version %d, which this program does not know", v[0])
		}
		r.kind = v[1]
	}
	r.seq = p.fixed()
	r.room = string(p.text())
	switch r.kind {
	case kindBase:
		r.epoch = string(p.text())
		r.padding = len(p.text())
	case kindTrim:
		r.floor, r.forgotten = p.uvarint(), p.uvarint()
	case kindMessage, kindKnown:
		r.message = p.message(r.kind, r.seq)
	default:
		return r, p.err // only a later version knows what the rest means
	}
	if p.err == nil && len(p.b) > 0 {
		p.err = errRecord
	}
	return r, p.err
}

// A parser reads the fields of a record one after another. After an error it returns zero values.
type parser struct {
	b   []byte
	err error
}

func (p *parser) message(kind byte, seq uint64) *hub.Message {
	m := &hub.Message{Seq: seq}
	if flags := p.bytes(1); p.err == nil {
		m.Idempotent, m.Binary = flags[0]&flagIdempotent != 0, flags[0]&flagBinary != 0
	}
	m.At = int64(p.fixed())
	copy(m.ID[:], p.bytes(16))
	m.Prev = p.uvarint()
	if kind == kindMessage {
		m.From = hub.Author{ID: string(p.text()), Name: string(p.text())}
		m.Payload = append([]byte(nil), p.text()...)
	}
	return m
}

func (p *parser) bytes(n uint64) []byte {
	if p.err != nil || n > uint64(len(p.b)) {
		p.err = errRecord
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) fixed() uint64 {
	b := p.bytes(8)
	if p.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if p.err != nil || n <= 0 {
		p.err = errRecord
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) text() []byte { return p.bytes(p.uvarint()) }
