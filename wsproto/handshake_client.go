package wsproto

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// maxResponse is the longest response head, in bytes, that a client waits for.
const maxResponse = 16 << 10

// ClientRequest is a client's opening handshake.
type ClientRequest struct {
	Host         string   // with the port, unless it is the scheme's own: "chat.example.org", "localhost:3000"
	Target       string   // path and query: "/websocket?room=doyasa"; "/" when empty
	Origin       string   // sent by browsers only; "" for none
	Key          string   // base64 of 16 random bytes, new for each connection
	Subprotocols []string // in order of preference
}

// AppendRequest appends a client's opening handshake to dst (§4.1). No value can end its line: control characters are left
// out of Host, Origin and Key and percent-encoded in Target, and of the subprotocols only tokens are offered.
func AppendRequest(dst []byte, r ClientRequest) []byte {
	dst = append(dst, "GET "...)
	dst = appendTarget(dst, r.Target)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", r.Host)
	dst = appendField(dst, "Upgrade", "websocket")
	dst = appendField(dst, "Connection", "Upgrade")
	dst = appendField(dst, "Sec-WebSocket-Key", r.Key)
	dst = appendField(dst, "Sec-WebSocket-Version", "13")
	if r.Origin != "" {
		dst = appendField(dst, "Origin", r.Origin)
	}
	for _, s := range r.Subprotocols {
		if isToken(s) {
			dst = appendField(dst, "Sec-WebSocket-Protocol", s)
		}
	}
	return append(dst, "\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	for i := range len(value) {
		if c := value[i]; c >= ' ' && c != 0x7F {
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n"...)
}

// appendTarget appends the request target. A space or control character would end it, so these are percent-encoded.
func appendTarget(dst []byte, target string) []byte {
	const hex = "0123456789ABCDEF"
	if target == "" {
		return append(dst, '/')
	}
	for i := range len(target) {
		if c := target[i]; c > ' ' && c < 0x7F {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// ParseResponse reads a server's answer to the request with this key and these subprotocols, and returns the subprotocol chosen,
// "" for none, and the length of the answer in bytes: frames may follow at once.
//
// It returns [ErrNeedMore] until the empty line has come. It returns a [*HandshakeError] if the empty line does not come within 16 KiB, or
// if the answer does not open a WebSocket connection by the rules of §4.1. The error's Status is the status in the answer.
func ParseResponse(b []byte, key string, subprotocols ...string) (subprotocol string, n int, err error) {
	refuse := func(status int, detail string) (string, int, error) {
		return "", 0, &HandshakeError{Status: status, Section: "4.1", Detail: detail}
	}
	end := bytes.Index(b[:min(len(b), maxResponse)], []byte("\r\n\r\n"))
	if end < 0 && len(b) < maxResponse {
		return "", 0, ErrNeedMore
	}
	if end < 0 {
		return refuse(0, "response head of more than 16 KiB")
	}
	statusLine, fields, _ := strings.Cut(string(b[:end+2]), "\r\n")
	status, ok := parseStatusLine(statusLine)
	if !ok {
		return refuse(0, "not an HTTP/1.1 response")
	}
	if status != 101 {
		return refuse(status, "server answered "+strconv.Itoa(status)+" instead of 101")
	}
	header, ok := parseFields(fields)
	if !ok {
		return refuse(status, "malformed header")
	}

	protocol := header["sec-websocket-protocol"]
	switch {
	case !hasToken(header["upgrade"], "websocket"):
		return refuse(status, "no Upgrade: websocket")
	case !hasToken(header["connection"], "upgrade"):
		return refuse(status, "no Connection: Upgrade")
	case !slices.Equal(header["sec-websocket-accept"], []string{AcceptKey(key)}):
		return refuse(status, "Sec-WebSocket-Accept does not answer the key")
	case len(header["sec-websocket-extensions"]) > 0:
		return refuse(status, "extension that was not offered")
	case len(protocol) == 0:
		return "", end + 4, nil
	case len(protocol) > 1 || !slices.Contains(subprotocols, protocol[0]):
		return refuse(status, "subprotocol that was not offered")
	}
	return protocol[0], end + 4, nil
}

// parseStatusLine reads a line such as "HTTP/1.1 101 Switching Protocols". The words after the number may be missing.
func parseStatusLine(line string) (status int, ok bool) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || strings.ContainsFunc(rest, isControl) {
		return 0, false
	}
	for i := range 3 {
		if rest[i] < '0' || rest[i] > '9' {
			return 0, false
		}
		status = status*10 + int(rest[i]-'0')
	}
	return status, true
}

// isControl reports whether r is a character that no field may have (RFC 9110 §5.5).
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7F }

// parseFields reads header lines, each with its CRLF, into a map from names in lower case to values.
func parseFields(s string) (header map[string][]string, ok bool) {
	header = make(map[string][]string)
	for s != "" {
		var line string
		line, s, _ = strings.Cut(s, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || strings.ContainsFunc(value, isControl) {
			return nil, false
		}
		name = strings.ToLower(name)
		header[name] = append(header[name], strings.Trim(value, " \t"))
	}
	return header, true
}
