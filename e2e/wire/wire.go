// Package wire is as much of a WebSocket client as tests need, written from RFC 6455 without the project's own codec and without
// manners: it sends whatever bytes it is given, answers nothing by itself, and reports exactly what comes back. It must not know
// what a message means.
package wire

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Opcodes (section 5.2), and the bits that share their byte.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xA

	Fin  = 0x80
	RSV1 = 0x40
	RSV2 = 0x20
	RSV3 = 0x10
)

// Patience bounds everything a connection does: a safety net, not a measure.
const Patience = 3 * time.Minute

// key is the example of section 1.3.
const key = "dGhlIHNhbXBsZSBub25jZQ=="

// A Frame as it came from the server, or is wanted from it: First is its first byte, with FIN, RSV bits and opcode.
type Frame struct {
	First   byte
	Payload []byte
}

func (f Frame) String() string {
	if len(f.Payload) > 40 {
		return fmt.Sprintf("%02x %d bytes %q…", f.First, len(f.Payload), f.Payload[:40])
	}
	return fmt.Sprintf("%02x %q", f.First, f.Payload)
}

// Code is the status code of a Close frame (section 5.5.1), 1005 if it has none, 0 if f is none.
func (f Frame) Code() int {
	switch {
	case f.First != Fin|Close:
		return 0
	case len(f.Payload) < 2:
		return 1005
	}
	return int(binary.BigEndian.Uint16(f.Payload))
}

// Append appends one frame as a client sends it, masked.
func Append(dst []byte, first byte, payload []byte) []byte {
	mask := binary.BigEndian.AppendUint32(nil, rand.Uint32())
	dst = append(Header(dst, first, 0x80, len(payload)), mask...)
	at := len(dst)
	dst = append(dst, payload...)
	for i := range dst[at:] {
		dst[at+i] ^= mask[i%4]
	}
	return dst
}

// Header appends the beginning of a frame, up to its length in the shortest form.
func Header(dst []byte, first, maskBit byte, n int) []byte {
	dst = append(dst, first)
	switch {
	case n < 126:
		return append(dst, maskBit|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, maskBit|126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, maskBit|127), uint64(n))
}

// ClosePayload is the payload of a Close frame; 1005 makes it empty.
func ClosePayload(code int, reason string) []byte {
	if code == 1005 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// Request is an opening handshake (section 4.1) for a target such as "/websocket?room=a", with more header lines if given.
func Request(host, target string, header ...string) []byte {
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: " + host, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13"}, header...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// A Conn is a connection. Frames are read by one goroutine at a time; bytes are written as they are with Write.
type Conn struct {
	*net.TCPConn
	r *bufio.Reader
}

// Connect opens a connection and says nothing on it.
func Connect(address string) (*Conn, error) { return ConnectFrom("", address) }

// ConnectFrom is Connect from one of this machine's addresses, without a port; "" is any.
func ConnectFrom(local, address string) (*Conn, error) {
	dialer := net.Dialer{Timeout: Patience}
	if local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(Patience))
	return &Conn{conn.(*net.TCPConn), bufio.NewReaderSize(conn, 8<<10)}, nil
}

// Dial opens a connection and makes the handshake.
func Dial(address, target string, header ...string) (*Conn, error) {
	c, err := Connect(address)
	if err != nil {
		return nil, err
	}
	if _, err = c.Write(Request(address, target, header...)); err == nil {
		err = c.Accepted(header...)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Accepted reads the answer to the handshake and checks it (section 4.1, steps 1 to 6 on the response).
func (c *Conn) Accepted(header ...string) error {
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	h := response.Header
	subprotocol := h.Get("Sec-WebSocket-Protocol")
	switch {
	case response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%s, want 101", response.Status)
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"), !strings.EqualFold(h.Get("Connection"), "upgrade"),
		h.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]), h.Get("Sec-WebSocket-Extensions") != "",
		subprotocol != "" && !slices.Contains(header, "Sec-WebSocket-Protocol: "+subprotocol):
		return fmt.Errorf("101 with the wrong headers: %v", h)
	}
	return nil
}

// Response reads an answer in HTTP to a request made with a method, up to its header; its body is read with it.
func (c *Conn) Response(method string) (*http.Response, error) {
	return http.ReadResponse(c.r, &http.Request{Method: method})
}

// ReadFrame reads one frame and holds it to what section 5 asks of a server: not masked, no RSV bits, a known opcode, the length in
// its shortest form, control frames whole and short.
func (c *Conn) ReadFrame() (Frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return Frame{}, err
	}
	n, least := int64(head[1]), int64(0)
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return Frame{}, unexpected(err)
		}
		n, least = int64(binary.BigEndian.Uint16(b[:])), 126
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return Frame{}, unexpected(err)
		}
		n, least = int64(binary.BigEndian.Uint64(b[:])), 1<<16
	}
	opcode := head[0] & 0x0F
	known := opcode <= Binary || opcode >= Close && opcode <= Pong
	if head[1] >= 0x80 || head[0]&(RSV1|RSV2|RSV3) != 0 || !known || n < least || n > 1<<30 || opcode >= Close && (n > 125 || head[0] < Fin) {
		return Frame{}, fmt.Errorf("the server sent an illegal frame that begins with %x", head)
	}
	f := Frame{First: head[0], Payload: make([]byte, n)}
	_, err := io.ReadFull(c.r, f.Payload)
	return f, unexpected(err)
}

// unexpected is an end of the stream inside a frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Send writes one final frame.
func (c *Conn) Send(opcode byte, payload []byte) error {
	_, err := c.Write(Append(nil, Fin|opcode, payload))
	return err
}
