package wsproto

import "errors"

// ErrNeedMore says that the bytes so far are legal but do not make a whole header or handshake yet. Nothing was consumed.
var ErrNeedMore = errors.New("websocket: need more bytes")

// ProtocolError says that the peer broke the protocol, or a limit, on an open connection. The connection must be failed: send a Close
// frame with Code ([AppendCloseFrame]), then close the socket (§7.1.7).
type ProtocolError struct {
	Code    CloseCode // of the Close frame to send
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

// CloseCodeOf returns the code of the Close frame for a connection that ended with err: 1000 for nil, the code of a [*ProtocolError] that
// err is or wraps, and 1011 for everything else, because then this side is at fault and not the peer.
func CloseCodeOf(err error) CloseCode {
	if err == nil {
		return CloseNormalClosure
	}
	if pe, ok := errors.AsType[*ProtocolError](err); ok {
		return pe.Code
	}
	return CloseInternalError
}

// HandshakeError says that an opening handshake broke a rule. A server gets it from [CheckRequest] and answers the client with Status
// and Header (§4.2.2). A client gets it from [ParseResponse].
type HandshakeError struct {
	Status  int                 // the HTTP status of the refusal; for a client the one it received, 0 if there was none
	Header  map[string][]string // every field that the refusal must carry, with names in net/http's form; nil if none, and for a client
	Section string              // of RFC 6455, such as "4.2.1"
	Detail  string              // for developers, in English
}

// Error returns a line such as "websocket: RFC 6455 §4.2.1: method is not GET".
func (e *HandshakeError) Error() string {
	return "websocket: RFC 6455 §" + e.Section + ": " + e.Detail
}
