package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
)

// The format of a segment. All numbers are little endian. Each CRC is the CRC-32C of the bytes before it in the same line.
//
//	segment: magic 8 | first batch 8 | last batch 8 | bytes 4 | CRC 4
//	         batch…
//	batch:   magic 4 | records 4 | bytes of all records 4 | number 8 | CRC 4
//	         record…
//	record:  bytes of the body 4 | body | CRC 4
//
// In the header of the segment, "last batch" and "bytes" (the size of the whole file) are 0 until the segment is rewritten, because
// until then it may still grow.
const (
	segmentMagic = "doyasa\x00\x02" // its last byte is the version
	batchMagic   = "BTCH"

	segmentHeaderSize = 8 + 8 + 8 + 4 + 4
	batchHeaderSize   = 4 + 4 + 4 + 8 + 4
	recordOverhead    = 4 + 4
	confirmedSize     = 8 + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// appendSum appends the CRC of dst[from:].
func appendSum(dst []byte, from int) []byte {
	return le.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// sumOK tells whether b ends with the CRC of the bytes before it.
func sumOK(b []byte) bool {
	n := len(b) - 4
	return crc32.Checksum(b[:n], castagnoli) == le.Uint32(b[n:])
}

// segmentInfo is the information in the name and the header of a segment.
type segmentInfo struct {
	first, last uint64
	bytes       uint32
}

const segmentSuffix = ".seg"

// name returns the name of the segment's file. The names sort in the order of the batches.
func (s segmentInfo) name() string { return fmt.Sprintf("%016x%s", s.first, segmentSuffix) }

func parseSegmentName(name string) (s segmentInfo, ok bool) {
	number, _ := strings.CutSuffix(name, segmentSuffix)
	first, err := strconv.ParseUint(number, 16, 64)
	s.first = first
	return s, err == nil && s.name() == name
}

func appendSegmentHeader(dst []byte, s segmentInfo) []byte {
	from := len(dst)
	dst = append(dst, segmentMagic...)
	dst = le.AppendUint64(dst, s.first)
	dst = le.AppendUint64(dst, s.last)
	dst = le.AppendUint32(dst, s.bytes)
	return appendSum(dst, from)
}

// parseHeader reads the header into s, and tells whether it is valid and agrees with the name.
func (s *segmentInfo) parseHeader(b []byte) bool {
	if len(b) < segmentHeaderSize || string(b[:8]) != segmentMagic || !sumOK(b[:segmentHeaderSize]) || le.Uint64(b[8:]) != s.first {
		return false
	}
	s.last, s.bytes = le.Uint64(b[16:]), le.Uint32(b[24:])
	return true
}

// appendBatch appends a batch and returns how many bytes each record takes.
func appendBatch(dst []byte, number uint64, bodies [][]byte) ([]byte, []int) {
	from := len(dst)
	sizes := make([]int, len(bodies))
	total := 0
	for i, body := range bodies {
		sizes[i] = len(body) + recordOverhead
		total += sizes[i]
	}
	dst = append(dst, batchMagic...)
	dst = le.AppendUint32(dst, uint32(len(bodies)))
	dst = le.AppendUint32(dst, uint32(total))
	dst = le.AppendUint64(dst, number)
	dst = appendSum(dst, from)
	for _, body := range bodies {
		from = len(dst)
		dst = le.AppendUint32(dst, uint32(len(body)))
		dst = append(dst, body...)
		dst = appendSum(dst, from)
	}
	return dst, sizes
}

// batchHeader is the header of a batch.
type batchHeader struct {
	records, bytes int
	number         uint64
}

func parseBatchHeader(b []byte) (h batchHeader, ok bool) {
	if len(b) < batchHeaderSize || string(b[:4]) != batchMagic || !sumOK(b[:batchHeaderSize]) {
		return h, false
	}
	if le.Uint32(b[4:]) > math.MaxInt32 || le.Uint32(b[8:]) > math.MaxInt32 {
		return h, false
	}
	return batchHeader{int(le.Uint32(b[4:])), int(le.Uint32(b[8:])), le.Uint64(b[12:])}, true
}

// parseRecord reads the record at the beginning of b. size is 0 if the length in the record cannot be right.
func parseRecord(b []byte) (body []byte, size int, ok bool) {
	if len(b) < recordOverhead || uint64(le.Uint32(b)) > uint64(len(b)-recordOverhead) {
		return nil, 0, false
	}
	size = int(le.Uint32(b)) + recordOverhead
	return b[4 : size-4], size, sumOK(b[:size])
}

func appendConfirmed(dst []byte, batch uint64) []byte {
	from := len(dst)
	return appendSum(le.AppendUint64(dst, batch), from)
}

// parseConfirmed reads the number of the last acknowledged batch. It returns 0, which no batch has, for a file that is damaged or was
// never written.
func parseConfirmed(b []byte) uint64 {
	if len(b) != confirmedSize || !sumOK(b) {
		return 0
	}
	return le.Uint64(b)
}
