package wsproto

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// CloseCode is the status code of a Close frame. It says why the connection ends (§7.4).
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

// Valid reports whether c may be sent in a Close frame. That is so for registered codes that are not reserved for local use, for 3000 to
// 3999, which are for libraries and frameworks, and for 4000 to 4999, which are for private use (§7.4.2).
func (c CloseCode) Valid() bool {
	switch c {
	case CloseReserved, CloseNoStatusReceived, CloseAbnormalClosure:
		return false
	}
	return c >= CloseNormalClosure && c <= CloseBadGateway || c >= 3000 && c <= 4999
}

// maxReason is the length of the longest reason in bytes: a control payload without the two bytes of the code.
const maxReason = MaxControlPayload - 2

// AppendClosePayload appends the payload of a Close frame to dst: the code, then the reason. A reason of more than 123 bytes is cut
// between two characters, and bytes that are not UTF-8 are replaced with U+FFFD. A code that may not be sent, such as 0 or
// [CloseNoStatusReceived], makes an empty payload, which a Close frame may have.
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

// AppendCloseFrame appends a whole Close frame to dst, with the payload that [AppendClosePayload] makes of code and reason. A client
// gives the masking key, drawn from a strong random source; a server gives nil, and the frame is not masked (§5.1).
//
// To answer the Close frame of the peer, give the Code of its [Event] and no reason: [CloseNoStatusReceived] makes an empty frame.
func AppendCloseFrame(dst []byte, key *[4]byte, code CloseCode, reason string) []byte {
	h := Header{Fin: true, Opcode: OpClose}
	if key != nil {
		h.Masked, h.MaskingKey = true, *key
	}
	var payload [MaxControlPayload]byte // stays on the stack
	return AppendFrame(dst, h, AppendClosePayload(payload[:0], code, reason))
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
