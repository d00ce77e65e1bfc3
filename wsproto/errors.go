package wsproto

import "errors"

// ErrNeedMore says that the bytes so far are legal but do not make a whole header or handshake yet. Nothing was consumed.
var ErrNeedMore = errors.New("websocket: need more bytes")

// ProtocolError says that the peer broke the protocol, or a limit, on an open connection, and that the connection must be
// failed: send a Close frame with Code, then close (§7.1.7).
type ProtocolError struct {
	Code    CloseCode // what the peer is to be told
	Section string    // of RFC 6455, such as "5.2"
	Detail  string    // for developers, in English
}

// Error returns a line such as "websocket: RFC 6455 §5.2: reserved opcode".
func (e *ProtocolError) Error() string {
	return "websocket: RFC 6455 §" + e.Section + ": " + e.Detail
}

// violation is the error for a frame that breaks a rule and has no close code of its own.
func violation(section, detail string) *ProtocolError {
	return &ProtocolError{CloseProtocolError, section, detail}
}

// CloseCodeOf returns the code with which a connection that ended with err is to be closed: 1000 for nil, the code of a
// [*ProtocolError] that err is or wraps, and 1011 for everything else, which is our fault and not the peer's.
func CloseCodeOf(err error) CloseCode {
	if err == nil {
		return CloseNormalClosure
	}
	if pe, ok := errors.AsType[*ProtocolError](err); ok {
		return pe.Code
	}
	return CloseInternalError
}

// HandshakeError says that an opening handshake is not one, and how a server is to refuse it (§4.2.2). A client gets it from
// [ParseResponse]. Where Field is Upgrade, the refusal carries Connection: Upgrade too (RFC 9110 §7.8).
type HandshakeError struct {
	Status       int    // the HTTP status of the refusal; for a client the one it received, 0 if there was none
	Field, Value string // a header that the refusal must carry, such as Allow: GET; empty if none
	Section      string // of RFC 6455, such as "4.2.1"
	Detail       string // for developers, in English
}

// Error returns a line such as "websocket: RFC 6455 §4.2.1: method is not GET".
func (e *HandshakeError) Error() string {
	return "websocket: RFC 6455 §" + e.Section + ": " + e.Detail
}
