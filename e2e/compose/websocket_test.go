//go:build linux

package compose_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Opcodes of RFC 6455 section 5.2 that these tests meet.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
)

// client is as much of a WebSocket client as these tests need, written from RFC 6455 without the project's own codec.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// dial joins the default room in the raw form.
func dial(address string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // the example of section 1.3
	fmt.Fprintf(conn, "GET /websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", address, key)
	c := &client{conn, bufio.NewReader(conn)}
	c.within(patience)
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got, want := response.Header.Get("Sec-WebSocket-Accept"), base64.StdEncoding.EncodeToString(accept[:]); response.StatusCode != 101 || got != want {
		conn.Close()
		return nil, fmt.Errorf("%s with Sec-WebSocket-Accept %q, want 101 with %q", response.Status, got, want)
	}
	return c, nil
}

// within bounds everything the client does from now on.
func (c *client) within(d time.Duration) { c.conn.SetDeadline(time.Now().Add(d)) }

// send writes one final frame of up to 65,535 bytes, masked as a client must.
func (c *client) send(opcode byte, payload []byte) error {
	mask := [4]byte{1, 2, 3, 4}
	frame := []byte{0x80 | opcode}
	if len(payload) < 126 {
		frame = append(frame, 0x80|byte(len(payload)))
	} else {
		frame = append(frame, 0x80|126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	}
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	_, err := c.conn.Write(frame)
	return err
}

// receive returns the next frame that is no ping; pings are answered on the way.
func (c *client) receive() (opcode byte, payload []byte, err error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return 0, nil, err
		}
		n := int(head[1])
		if n == 126 {
			var length [2]byte
			if _, err := io.ReadFull(c.r, length[:]); err != nil {
				return 0, nil, err
			}
			n = int(binary.BigEndian.Uint16(length[:]))
		}
		if head[0]&0xf0 != 0x80 || n > 0xffff || head[1] >= 127 {
			return 0, nil, fmt.Errorf("frame head % x, want one final unmasked frame of up to 65,535 bytes", head)
		}
		payload = make([]byte, n)
		if _, err := io.ReadFull(c.r, payload); err != nil {
			return 0, nil, err
		}
		if head[0]&0xf != opPing {
			return head[0] & 0xf, payload, nil
		}
		if err := c.send(opPing+1, payload); err != nil {
			return 0, nil, err
		}
	}
}

// closing reads up to the Close frame, answers it, and returns its code (section 7.1.5).
func (c *client) closing() (code uint16, err error) {
	for {
		opcode, payload, err := c.receive()
		if err != nil {
			return 0, err
		}
		if opcode == opClose && len(payload) >= 2 {
			return binary.BigEndian.Uint16(payload), c.send(opClose, payload[:2])
		}
	}
}
