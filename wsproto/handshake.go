package wsproto

import (
	"crypto/fips140"
	"crypto/sha1"
	"encoding/base64"
	"iter"
	"slices"
	"strings"
)

// maxSubprotocols is how many of the offered subprotocols are kept. It bounds memory, and no honest client offers more.
const maxSubprotocols = 32

// Request is what a client asks for in an opening handshake that may be answered.
type Request struct {
	Key          string   // Sec-WebSocket-Key, for AppendResponse
	Subprotocols []string // the first 32 that are tokens, in the client's order of preference
}

// CheckRequest judges a client's opening handshake (§4.2.1): method and version of the request line, and the header with its
// names in net/http's canonical form, such as "Sec-Websocket-Key". A request that cannot be answered with 101 gives a
// [*HandshakeError] with the status and the header of the refusal.
//
// Three duties stay with the caller: to check that the Host header is there (net/http does), to decide whether the Origin is
// welcome (§10.2), and to refuse a request with a body, because the bytes of the body would be read as frames.
func CheckRequest(method string, protoMajor, protoMinor int, header map[string][]string) (Request, error) {
	refuse := func(status int, fields map[string][]string, section, detail string) (Request, error) {
		return Request{}, &HandshakeError{status, fields, section, detail}
	}
	if method != "GET" {
		return refuse(405, map[string][]string{"Allow": {"GET"}}, "4.2.1", "method is not GET")
	}
	if protoMajor != 1 || protoMinor < 1 {
		return refuse(400, nil, "4.2.1", "not an HTTP/1.1 request")
	}
	if !hasToken(header["Upgrade"], "websocket") || !hasToken(header["Connection"], "upgrade") {
		return refuse(426, upgradeFields(), "4.2.1", "not a WebSocket handshake: it takes Upgrade: websocket and Connection: Upgrade")
	}
	// Check the version before the key, because another version may have other rules for the key.
	if v := header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		fields := upgradeFields()
		fields["Sec-Websocket-Version"] = []string{"13"}
		return refuse(426, fields, "4.4", "Sec-WebSocket-Version is not 13")
	}
	key := header["Sec-Websocket-Key"]
	if len(key) != 1 || !validKey(key[0]) {
		return refuse(400, nil, "4.2.1", "Sec-WebSocket-Key is not one base64 value of 16 bytes")
	}

	r := Request{Key: key[0]}
	for s := range tokens(header["Sec-Websocket-Protocol"]) {
		if len(r.Subprotocols) == maxSubprotocols {
			break
		}
		if isToken(s) {
			r.Subprotocols = append(r.Subprotocols, s)
		}
	}
	return r, nil
}

// upgradeFields returns the fields that every 426 must carry: Upgrade with the protocol to use (RFC 9110 §15.5.22), and Connection with
// the word Upgrade, because Upgrade is a field for this connection alone (RFC 9110 §7.8).
func upgradeFields() map[string][]string {
	return map[string][]string{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
}

// AcceptKey returns the Sec-WebSocket-Accept for a Sec-WebSocket-Key. It proves to the client that the server understood the handshake
// (§4.2.2).
func AcceptKey(key string) string {
	return string(appendAccept(nil, key))
}

func appendAccept(dst []byte, key string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // §1.3
	input := append(append(make([]byte, 0, 64), key...), guid...)
	var sum [sha1.Size]byte
	// The digest shows that the server read the key and protects nothing, so the FIPS 140 rule against SHA-1 (GODEBUG=fips140=only)
	// does not apply to it.
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(input) })
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendResponse appends the response that accepts a handshake (§4.2.2) to dst. Its status is 101, and frames may follow it. The
// subprotocol must be one that the client offered, or "" for none. A subprotocol that is not a token is left out.
func AppendResponse(dst []byte, key, subprotocol string) []byte {
	dst = slices.Grow(dst, 160+len(subprotocol)) // one allocation is enough: the response has 129 bytes, and 26 more with a subprotocol
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = appendAccept(dst, key)
	if isToken(subprotocol) {
		dst = append(dst, "\r\nSec-WebSocket-Protocol: "...)
		dst = append(dst, subprotocol...)
	}
	return append(dst, "\r\n\r\n"...)
}

// validKey reports whether key is the base64 form of 16 bytes.
func validKey(key string) bool {
	var raw [18]byte // 24 characters of base64 hold at most 18 bytes
	if len(key) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// tokens yields the elements of a comma-separated header field, which may stretch over several lines (RFC 9110 §5.6.1). Empty
// elements are left out. The other elements are not checked.
func tokens(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for s := range strings.SplitSeq(line, ",") {
				if s = strings.Trim(s, " \t"); s != "" && !yield(s) {
					return
				}
			}
		}
	}
}

// hasToken reports whether a field names an ASCII token, without regard to case.
func hasToken(lines []string, token string) bool {
	for s := range tokens(lines) {
		// EqualFold also equates letters outside ASCII, such as the Kelvin sign with k. Such letters have more bytes, so compare the
		// lengths first.
		if len(s) == len(token) && strings.EqualFold(s, token) {
			return true
		}
	}
	return false
}

// isToken reports whether s is a token in HTTP's sense (RFC 9110 §5.6.2). The empty string is not a token.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
