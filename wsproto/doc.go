// Package wsproto is the WebSocket protocol, RFC 6455, as pure functions and one small state machine over []byte. It turns received bytes
// into events, and makes the bytes of frames and handshakes to send. It implements both the server's and the client's side.
//
// # What it must not know
//
// There is no socket, goroutine, mutex, timer, random source or logger in this package, and nothing of net or net/http. The caller reads and
// writes, sets deadlines, and knows what a message means. So every rule of the RFC can be tested with a slice of bytes, and the same
// codec serves an event loop, a goroutine per connection, a load generator and a fuzzer.
//
// # How it is used
//
// A server lets [CheckRequest] judge the opening handshake and answers with [AppendResponse], or with the status and header that the
// [*HandshakeError] names. From then on it feeds the bytes of the socket to an [Assembler]:
//
//	for len(b) > 0 {
//		var ev wsproto.Event
//		if ev, b, err = a.Next(b); err != nil {
//			return err // send AppendCloseFrame with CloseCodeOf(err), then close the socket
//		}
//		switch ev.Opcode {
//		case wsproto.OpText, wsproto.OpBinary: // a whole message
//		case wsproto.OpPing: // answer with a pong of the same payload
//		case wsproto.OpPong:
//		case wsproto.OpClose: // send AppendCloseFrame with ev.Code, then close the socket
//		}
//	}
//
// Frames to send come from [AppendFrame] and [AppendCloseFrame]. A client does the same with [AppendRequest], [ParseResponse], [RoleClient] and masked
// frames, whose masking keys it must draw from a strong random source (§5.3).
//
// # Conventions
//
// Parsers take bytes and return a value, the number of bytes consumed and an error; on error the other two are zero, and
// [ErrNeedMore] alone means that the bytes so far are legal but too few. Appenders are named AppendX, append to dst, return it
// as append does, and cannot fail. A peer that breaks the rules gives a [*ProtocolError], or a [*HandshakeError] before the
// connection is open: what the peer is to be told and the section of the RFC. No input makes this package panic, or allocate
// more than it has received.
//
// # Ownership
//
// Nothing here keeps the bytes it is given. The Assembler unmasks in place, so the slice handed to Next must be writable, and an
// Event's Payload usually lies in it; copy what must live longer than the next call. A value may be used from one goroutine
// at a time; functions may be called from any.
//
// # Files, in reading order
//
//	opcode.go            what a frame is for (§5.2, §11.8)
//	header.go            the frame header: its 2 to 14 bytes, both ways (§5.2)
//	mask.go              masking, a word at a time (§5.3)
//	close.go             close codes and the payload of a Close frame (§5.5.1, §7.4)
//	errors.go            what a peer did wrong, and what to tell it (§7.1.7)
//	utf8.go              UTF-8, checked in pieces (§8.1)
//	assembler.go         frames become messages (§5.4, §5.5)
//	whole.go             the fast path for a message in one frame
//	handshake.go         the opening handshake, server's side (§4.2)
//	handshake_client.go  the opening handshake, client's side (§4.1)
//
// testdata holds the test vectors as text, described in its README.md, for authors of other implementations to use.
package wsproto
