// Package wire is a WebSocket client for tests. It was written from RFC 6455 and does not use the project's own codec. It sends
// any bytes that it is given, valid or not, answers nothing by itself, and reports exactly what the server sends. It must not
// know what a message means.
package wire

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The opcodes (section 5.2), and the bits in the same byte.
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

// Patience limits the read of each frame, and each write, unless a deadline is set. It is only a safety net: no test measures
// time with it.
const Patience = 5 * time.Minute

// key is the example of section 1.3.
const key = "dGhlIHNhbXBsZSBub25jZQ=="

// A Frame is a frame that the server has sent, or that a test expects. First is its first byte, with FIN, the RSV bits and the
// opcode.
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

// Code returns the status code of a Close frame (section 5.5.1). It is 1005 if the frame has none, and 0 if f is not a Close
// frame.
func (f Frame) Code() int {
	switch {
	case f.First != Fin|Close:
		return 0
	case len(f.Payload) < 2:
		return 1005
	}
	return int(binary.BigEndian.Uint16(f.Payload))
}

// Append appends one masked frame, as a client sends it.
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

// Header appends the header of a frame up to the length, which has its shortest form.
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

// ClosePayload returns the payload of a Close frame. It is empty for 1005.
func ClosePayload(code int, reason string) []byte {
	if code == 1005 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// Request returns an opening handshake (section 4.1) for a target such as "/websocket?room=a", with further header lines if they
// are given.
func Request(host, target string, header ...string) []byte {
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: " + host, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: 13"}, header...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// A Conn is a connection. Only one goroutine at a time may read frames. Write sends bytes without changing them.
type Conn struct {
	*net.TCPConn
	r *bufio.Reader

	readBound, writeBound atomic.Bool // a deadline was set, so Patience does not apply any more
}

// SetDeadline sets the deadlines of reads and writes instead of Patience.
func (c *Conn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// SetReadDeadline sets the deadline of reads instead of Patience for each frame.
func (c *Conn) SetReadDeadline(at time.Time) error {
	c.readBound.Store(true)
	return c.TCPConn.SetReadDeadline(at)
}

// SetWriteDeadline sets the deadline of writes instead of Patience for each write.
func (c *Conn) SetWriteDeadline(at time.Time) error {
	c.writeBound.Store(true)
	return c.TCPConn.SetWriteDeadline(at)
}

// Write writes bytes as they are.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.writeBound.Load() {
		c.TCPConn.SetWriteDeadline(time.Now().Add(Patience))
	}
	return c.TCPConn.Write(b)
}

// Connect opens a connection and sends nothing.
func Connect(address string) (*Conn, error) { return ConnectFrom("", address) }

// ConnectFrom opens a connection from an address of this machine, given without a port. "" lets the system choose.
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
	return &Conn{TCPConn: conn.(*net.TCPConn), r: bufio.NewReaderSize(conn, 8<<10)}, nil
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

// Response reads an HTTP answer to a request with the given method, up to the end of its header. The caller reads the body from
// it.
func (c *Conn) Response(method string) (*http.Response, error) {
	return http.ReadResponse(c.r, &http.Request{Method: method})
}

// ReadFrame reads one frame and checks what section 5 demands of a server: the frame is not masked and has no RSV bits, its
// opcode is known, its length has the shortest form, and a control frame is short and not fragmented.
func (c *Conn) ReadFrame() (Frame, error) {
	if c.r.Buffered() == 0 && !c.readBound.Load() {
		c.TCPConn.SetReadDeadline(time.Now().Add(Patience))
	}
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

// unexpected turns the end of the stream inside a frame into an error of its own.
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
