package wsproto

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// CloseCode is the status code of a Close frame: why the connection ends (§7.4).
type CloseCode uint16

// The codes of IANA's WebSocket Close Code Number Registry.
const (
	CloseNormalClosure           CloseCode = 1000 // §7.4.1
	CloseGoingAway               CloseCode = 1001 // §7.4.1
	CloseProtocolError           CloseCode = 1002 // §7.4.1
	CloseUnsupportedData         CloseCode = 1003 // §7.4.1
	CloseReserved                CloseCode = 1004 // §7.4.1, never sent
	CloseNoStatusReceived        CloseCode = 1005 // §7.4.1, never sent: stands for a Close frame without a code
	CloseAbnormalClosure         CloseCode = 1006 // §7.4.1, never sent: stands for a connection lost without a Close frame
	CloseInvalidFramePayloadData CloseCode = 1007 // §7.4.1
	ClosePolicyViolation         CloseCode = 1008 // §7.4.1
	CloseMessageTooBig           CloseCode = 1009 // §7.4.1
	CloseMandatoryExtension      CloseCode = 1010 // §7.4.1, sent by clients
	CloseInternalError           CloseCode = 1011 // §7.4.1 and erratum 3227
	CloseServiceRestart          CloseCode = 1012 // IANA registry
	CloseTryAgainLater           CloseCode = 1013 // IANA registry
	CloseBadGateway              CloseCode = 1014 // IANA registry
	CloseTLSHandshake            CloseCode = 1015 // §7.4.1, never sent: stands for a failed TLS handshake
)

// Valid reports whether c may stand in a Close frame: a registered code that is not kept for local use, or one of the ranges
// 3000 to 3999, for libraries and frameworks, and 4000 to 4999, for private use (§7.4.2).
func (c CloseCode) Valid() bool {
	switch c {
	case CloseReserved, CloseNoStatusReceived, CloseAbnormalClosure:
		return false
	}
	return c >= CloseNormalClosure && c <= CloseBadGateway || c >= 3000 && c <= 4999
}

// maxReason is what the two bytes of the code leave of a control frame, in bytes.
const maxReason = MaxControlPayload - 2

// AppendClosePayload appends the payload of a Close frame to dst: the code, then the reason, cut between two characters when it
// is longer than 123 bytes, with U+FFFD in place of what is not UTF-8. A code that may not be sent, such as 0 or
// [CloseNoStatusReceived], makes the payload empty, which a Close frame's may be.
func AppendClosePayload(dst []byte, code CloseCode, reason string) []byte {
	if !code.Valid() {
		return dst
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) > maxReason {
		end := maxReason
		for !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// ParseClosePayload reads the payload of a Close frame (§5.5.1). An empty one gives [CloseNoStatusReceived]. It returns a
// [*ProtocolError] for a single byte or a code that may not be sent (1002) and for a reason that is not UTF-8 (1007).
func ParseClosePayload(p []byte) (code CloseCode, reason string, err error) {
	switch len(p) {
	case 0:
		return CloseNoStatusReceived, "", nil
	case 1:
		return 0, "", violation("5.5.1", "Close payload of one byte")
	}
	code = CloseCode(binary.BigEndian.Uint16(p))
	if !code.Valid() {
		return 0, "", violation("7.4", "close code that may not be sent")
	}
	if !utf8.Valid(p[2:]) {
		return 0, "", &ProtocolError{CloseInvalidFramePayloadData, "5.5.1", "close reason is not UTF-8"}
	}
	return code, string(p[2:]), nil
}
