package wsproto

import (
	"crypto/sha1"
	"encoding/base64"
	"iter"
	"slices"
	"strings"
)

// maxSubprotocols is how many offered subprotocols are kept; a client that offers more is not after any of them.
const maxSubprotocols = 32

// Request is what a client asks for in an opening handshake that may be answered.
type Request struct {
	Key          string   // Sec-WebSocket-Key, for AppendResponse
	Subprotocols []string // in the client's order of preference; the first 32, without what is not a token
}

// CheckRequest judges a client's opening handshake (§4.2.1): method and version of the request line, and the header with its
// names in net/http's canonical form, such as "Sec-Websocket-Key". A request that cannot be answered with 101 gives a
// [*HandshakeError], which says how to refuse it.
//
// Three duties stay with the caller, who knows more: the Host header is there (net/http sees to it), the Origin is welcome
// (§10.2), and the request has no body, whose bytes would be taken for frames.
func CheckRequest(method string, protoMajor, protoMinor int, header map[string][]string) (Request, error) {
	refuse := func(status int, field, value, section, detail string) (Request, error) {
		return Request{}, &HandshakeError{status, field, value, section, detail}
	}
	if method != "GET" {
		return refuse(405, "Allow", "GET", "4.2.1", "method is not GET")
	}
	if protoMajor != 1 || protoMinor < 1 {
		return refuse(400, "", "", "4.2.1", "not an HTTP/1.1 request")
	}
	if !hasToken(header["Upgrade"], "websocket") || !hasToken(header["Connection"], "upgrade") {
		return refuse(426, "Upgrade", "websocket", "4.2.1", "not a WebSocket handshake: it takes Upgrade: websocket and Connection: Upgrade")
	}
	// The version comes before the key, whose rules are those of this version.
	if v := header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return refuse(426, "Sec-WebSocket-Version", "13", "4.4", "Sec-WebSocket-Version is not 13")
	}
	key := header["Sec-Websocket-Key"]
	if len(key) != 1 || !validKey(key[0]) {
		return refuse(400, "", "", "4.2.1", "Sec-WebSocket-Key is not one base64 value of 16 bytes")
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

// AcceptKey returns the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key, which proves to the client that the server has
// understood it (§4.2.2).
func AcceptKey(key string) string {
	return string(appendAccept(nil, key))
}

func appendAccept(dst []byte, key string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // §1.3
	sum := sha1.Sum(append(append(make([]byte, 0, 64), key...), guid...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendResponse appends the response that accepts a handshake (§4.2.2) to dst: 101, and the frames may follow. The subprotocol is
// one of those that the client offered, or "" for none; what is not a token counts as none.
func AppendResponse(dst []byte, key, subprotocol string) []byte {
	dst = slices.Grow(dst, 160+len(subprotocol)) // once: it is 129 bytes, and 26 more with a subprotocol
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
	var raw [18]byte // what 24 characters can hold at most
	if len(key) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// tokens yields the elements of a comma-separated header field, which may stretch over several lines (RFC 9110 §5.6.1). Empty
// elements are left out; what is in the others is not judged.
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
		// Outside ASCII EqualFold knows more than HTTP, such as the Kelvin sign for k; those letters are longer.
		if len(s) == len(token) && strings.EqualFold(s, token) {
			return true
		}
	}
	return false
}

// isToken reports whether s is a token in HTTP's sense (RFC 9110 §5.6.2), which the empty string is not.
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
