package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/doyasa/doyasa/hub"
)

// What stands in the stream, layout 1. A record of a message, under messageSubject of
// its room:
//
//	version 1 | flags 1 | at 8 | id 16 | prev | from.ID | from.Name | payload | CRC 4
//
// and a record of a trim, under trimSubject:
//
//	version 1 | floor | messages | records | n | n × (id 16 | seq | prev | at 8) | CRC 4
//
// Fixed numbers are little endian; all others are uvarints, and in front of
// each text or payload stands its length as one. The CRC is CRC-32C of the room's name
// and everything before it, so a record that is damaged, or filed under another room, is
// never taken for a good one.
const (
	layout = 1

	flagIdempotent = 1 << 0
	flagChained    = 1 << 1 // prev is known and stands there; where several processes append it is 0
	flagBinary     = 1 << 2
	flagsKnown     = flagIdempotent | flagChained | flagBinary
)

// recordOverhead is more than what a record has beside texts and payload.
const recordOverhead = 100

const (
	messagePrefix = "doyasa.m."
	trimPrefix    = "doyasa.t."
	passingPrefix = "doyasa.x." // messages that are not kept, in a shared stream
)

var (
	errDamaged = errors.New("the record is damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func messageSubject(room string) string { return messagePrefix + subjectToken(room) }
func trimSubject(room string) string    { return trimPrefix + subjectToken(room) }

// subjectToken writes any room as one token of a NATS subject: ASCII letters, digits, -
// and _ as they are, every other byte as = and two hexadecimal digits.
func subjectToken(room string) string {
	var b strings.Builder
	for i := range len(room) {
		switch c := room[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// roomOf is the inverse of subjectToken.
func roomOf(token string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b.WriteByte(token[i])
			continue
		}
		var c byte
		if _, err := fmt.Sscanf(token[i:min(i+3, len(token))], "=%02x", &c); err != nil {
			return "", errDamaged
		}
		b.WriteByte(c)
		i += 2
	}
	room := b.String()
	if room == "" || subjectToken(room) != token {
		return "", errDamaged
	}
	return room, nil
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendSum(dst []byte, room string) []byte {
	return binary.LittleEndian.AppendUint32(dst, sum(room, dst))
}

func sum(room string, record []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(room), castagnoli), castagnoli, record)
}

// appendMessage writes the record of m, which it must not keep. Without chained its Prev
// is not known yet.
func appendMessage(dst []byte, room string, m *hub.Message, chained bool) []byte {
	var flags byte
	if m.Idempotent {
		flags |= flagIdempotent
	}
	if m.Binary {
		flags |= flagBinary
	}
	prev := uint64(0)
	if chained {
		flags |= flagChained
		prev = m.Prev
	}
	dst = append(dst, layout, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.At))
	dst = append(dst, m.ID[:]...)
	dst = binary.AppendUvarint(dst, prev)
	dst = appendText(dst, m.From.ID)
	dst = appendText(dst, m.From.Name)
	dst = appendText(dst, m.Payload)
	return appendSum(dst, room)
}

// parseMessage is the inverse of appendMessage. The message has no Seq yet, and shares
// no memory with b.
func parseMessage(room string, b []byte) (m *hub.Message, chained bool, err error) {
	r := reader{b: b}
	r.check(room)
	m = new(hub.Message)
	if v := r.bytes(2); r.err == nil {
		m.Idempotent = v[1]&flagIdempotent != 0
		m.Binary = v[1]&flagBinary != 0
		chained = v[1]&flagChained != 0
		if v[1]&^flagsKnown != 0 {
			r.err = errDamaged
		}
	}
	m.At = r.time()
	copy(m.ID[:], r.bytes(16))
	if m.Prev = r.uvarint(); m.Prev != 0 && !chained {
		r.err = errors.Join(r.err, errDamaged)
	}
	m.From.ID = string(r.text())
	m.From.Name = string(r.text())
	m.Payload = append([]byte(nil), r.text()...)
	if err := r.end(); err != nil {
		return nil, false, err
	}
	return m, chained, nil
}

// A trim is what is written before messages are purged: where the room is kept from now
// on, and the ids of what goes, whose retries must still be recognised.
type trim struct {
	floor uint64
	// How many messages of the room have been trimmed and how many records of that have
	// been stored, this one included. With what is there they add up to all numbers that
	// the stream has given, so nothing is lost without a trace.
	messages, records uint64
	gone              []hub.Stored
}

func appendTrim(dst []byte, room string, t trim) []byte {
	dst = append(dst, layout)
	dst = binary.AppendUvarint(dst, t.floor)
	dst = binary.AppendUvarint(dst, t.messages)
	dst = binary.AppendUvarint(dst, t.records)
	dst = binary.AppendUvarint(dst, uint64(len(t.gone)))
	for _, g := range t.gone {
		dst = append(dst, g.ID[:]...)
		dst = binary.AppendUvarint(dst, g.Seq)
		dst = binary.AppendUvarint(dst, g.Prev)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(g.At))
	}
	return appendSum(dst, room)
}

func parseTrim(room string, b []byte) (trim, error) {
	r := reader{b: b}
	r.check(room)
	r.bytes(1)
	t := trim{floor: r.uvarint(), messages: r.uvarint(), records: r.uvarint()}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		var g hub.Stored
		copy(g.ID[:], r.bytes(16))
		g.Seq = r.uvarint()
		g.Prev = r.uvarint()
		g.At = r.time()
		t.gone = append(t.gone, g)
	}
	if err := r.end(); err != nil {
		return trim{}, err
	}
	return t, nil
}

// reader takes a record apart. After an error it returns zeros.
type reader struct {
	b   []byte
	err error
}

// check looks at the CRC and the version.
func (r *reader) check(room string) {
	n := len(r.b) - 4
	if n < 1 || binary.LittleEndian.Uint32(r.b[n:]) != sum(room, r.b[:n]) {
		r.err = errDamaged
		return
	}
	if r.b[0] != layout {
		r.err = fmt.Errorf("a record of layout %d, want %d", r.b[0], layout)
		return
	}
	r.b = r.b[:n]
}

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errors.Join(r.err, errDamaged)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) time() int64 {
	b := r.bytes(8)
	if r.err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 {
		r.err = errors.Join(r.err, errDamaged)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() []byte { return r.bytes(r.uvarint()) }

func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errDamaged
	}
	return r.err
}
