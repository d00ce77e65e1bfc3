package bench

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// A conn is one connection, a member of one room.
type conn struct {
	room    int
	stalled bool // stops reading for the measurement
	open    bool // the handshake is done
	gone    bool // the connection has ended
	synced  bool // has seen a probe
	key     string

	pos  int64            // in its room's order: what it must see next
	late map[key]struct{} // what it has been passed over with
	seq  uint64           // doyasa.v1: of the last message
	in   stream
	out  []byte // not yet taken by the socket
}

const subprotocol = "doyasa.v1"

// connected sends the opening handshake.
func (r *run) connected(i int) {
	c := &r.conns[i]
	var random [16]byte
	rand.Read(random[:])
	c.key = base64.StdEncoding.EncodeToString(random[:])
	q := url.Values{"room": {r.rooms[c.room].name}}
	request := wsproto.ClientRequest{Host: r.host, Key: c.key}
	if r.opts.V1 {
		q.Set("history", "0")
		request.Subprotocols = []string{subprotocol}
	}
	request.Target = r.opts.Path + "?" + q.Encode()
	c.out = wsproto.AppendRequest(c.out, request)
	r.writable(i)
}

// received takes bytes of connection i. They are free for reuse when it returns.
func (r *run) received(i int, b []byte) {
	now := r.now()
	r.moved = now
	c := &r.conns[i]
	if !c.open {
		b = r.handshake(i, c, b)
	}
	if c.open {
		r.parse(i, c, b, now)
	}
	r.flush()
}

// handshake takes bytes of the server's answer, and returns those behind it.
func (r *run) handshake(i int, c *conn, b []byte) []byte {
	c.in.buf = append(c.in.buf, b...)
	var offered []string
	if r.opts.V1 {
		offered = []string{subprotocol}
	}
	chosen, n, err := wsproto.ParseResponse(c.in.buf, c.key, offered...)
	if errors.Is(err, wsproto.ErrNeedMore) {
		return nil
	}
	if err == nil && r.opts.V1 && chosen != subprotocol {
		err = errors.New("the server does not speak doyasa.v1")
	}
	if err != nil {
		r.fail(r.explain(fmt.Errorf("connection %d of %d: handshake: %w", i+1, len(r.conns), err)))
		return nil
	}
	rest := c.in.buf[n:]
	c.in.buf, c.key = nil, ""
	c.open = true
	r.connecting--
	r.open++
	return rest
}

func (r *run) explain(err error) error {
	var refused *wsproto.HandshakeError
	if errors.As(err, &refused) && refused.Status == 503 {
		return fmt.Errorf("%w\nthe server takes no more: limits.connections, its descriptor limit (ulimit -n), or it is shutting down", err)
	}
	return err
}

// gone is called when connection i has ended; err is io.EOF if the server closed it in order.
func (r *run) gone(i int, err error) {
	r.moved = r.now()
	c := &r.conns[i]
	if c.gone {
		return
	}
	c.gone = true
	r.sockets.set(i, closed)
	if !c.open {
		if errors.Is(err, io.EOF) {
			err = errors.New("the server closed it before its handshake was answered")
		}
		r.fail(fmt.Errorf("connection %d of %d: %w", i+1, len(r.conns), err))
		return
	}
	r.open--
	if c.stalled {
		return
	}
	r.faults.closed++
	if !c.in.closed {
		r.faults.ended("without Close: " + err.Error())
	}
}

// A stream is what is known of the bytes of one direction: which frame and message they are in. A raw message is not gathered:
// its head is kept, the rest is compared as it comes.
type stream struct {
	header  [wsproto.MaxHeaderLen]byte
	have    uint8 // bytes of header
	in      bool  // a frame
	closed  bool  // a Close frame has come
	dirty   bool  // the payload differs from what is sent
	frame   wsproto.Header
	left    int64          // payload bytes of the frame to come
	op      wsproto.Opcode // of the message; OpContinuation between messages
	off     int64          // payload bytes of the message so far
	head    [headLen]byte
	control []byte // a control frame that has not come whole
	buf     []byte // what is gathered: JSON, joined messages, the answer to the handshake
}

// parse takes bytes of an open connection.
func (r *run) parse(i int, c *conn, b []byte, now time.Duration) {
	s := &c.in
	for len(b) > 0 && !s.closed {
		if !s.in && s.have == 0 && s.op == wsproto.OpContinuation && !r.gathers() {
			// The usual: whole frames of exactly what is sent.
			for len(b) >= len(r.lead)+r.opts.Size && [2]byte(b) == [2]byte(r.lead) && string(b[2:len(r.lead)]) == string(r.lead[2:]) {
				p := b[len(r.lead) : len(r.lead)+r.opts.Size]
				if !bytes.Equal(p[headLen:], r.filler) {
					break
				}
				r.deliver(i, c, p, now)
				b = b[len(r.lead)+r.opts.Size:]
			}
			if len(b) == 0 {
				return
			}
		}
		if !s.in {
			kept := s.have
			s.have += uint8(copy(s.header[kept:], b))
			h, n, err := wsproto.ParseHeader(s.header[:s.have])
			if errors.Is(err, wsproto.ErrNeedMore) {
				return
			}
			if err == nil && (h.Masked || h.RSV != 0 || h.Opcode.IsData() && (h.Opcode == wsproto.OpContinuation) != (s.op != wsproto.OpContinuation)) {
				err = errors.New("a frame that no server may send there")
			}
			if err != nil {
				r.broken(i, c, err)
				return
			}
			b = b[n-int(kept):]
			s.have, s.in, s.frame, s.left = 0, true, h, h.PayloadLen
			if h.Opcode.IsData() && h.Opcode != wsproto.OpContinuation {
				s.op, s.off, s.dirty = h.Opcode, 0, false
			}
		}
		p := b[:min(int64(len(b)), s.left)]
		b = b[len(p):]
		s.left -= int64(len(p))
		r.payload(i, c, p, now)
	}
}

// broken ends a connection whose server breaks the protocol.
func (r *run) broken(i int, c *conn, err error) {
	c.in.closed = true
	r.faults.ended(err.Error())
	r.gone(i, err)
}

// payload takes a piece of a frame's payload, perhaps the last.
func (r *run) payload(i int, c *conn, p []byte, now time.Duration) {
	s := &c.in
	whole := s.left == 0
	s.in = !whole
	switch {
	case s.frame.Opcode.IsControl():
		r.control(i, c, p, whole)
		return
	case r.gathers():
		if !whole || !s.frame.Fin || len(s.buf) > 0 {
			s.buf = append(s.buf, p...)
			p = s.buf
		}
		if whole && s.frame.Fin {
			r.gathered(i, c, p, now)
			s.buf, s.op = s.buf[:0], wsproto.OpContinuation
		}
		return
	}
	if s.off < headLen {
		n := copy(s.head[s.off:], p)
		s.off += int64(n)
		p = p[n:]
	}
	if at := s.off - headLen; at >= 0 && len(p) > 0 {
		s.dirty = s.dirty || at+int64(len(p)) > int64(len(r.filler)) || !bytes.Equal(p, r.filler[at:at+int64(len(p))])
		s.off += int64(len(p))
	}
	if whole && s.frame.Fin {
		if s.off < headLen {
			r.faults.foreign++
		} else {
			r.whole(i, c, s.head[:], s.dirty || s.off != int64(r.opts.Size), now)
		}
		s.op = wsproto.OpContinuation
	}
}

// whole takes a message with its head, and whether the rest differs from what is sent.
func (r *run) whole(i int, c *conn, head []byte, damaged bool, now time.Duration) {
	if damaged {
		if _, tag, _, ok := parseHead(head); ok && tag == r.tag && !c.stalled {
			r.faults.damaged++
		}
	}
	r.deliver(i, c, head, now)
}

// control acts on a control frame, of which p is a piece.
func (r *run) control(i int, c *conn, p []byte, whole bool) {
	s := &c.in
	if !whole || len(s.control) > 0 {
		s.control = append(s.control, p...)
		p = s.control
	}
	if !whole {
		return
	}
	s.control = s.control[:0]
	switch s.frame.Opcode {
	case wsproto.OpPing:
		r.pend(i, wsproto.OpPong, p)
	case wsproto.OpClose:
		s.closed = true
		code, reason, err := wsproto.ParseClosePayload(p)
		if err != nil {
			reason = err.Error()
		}
		if !c.stalled {
			r.faults.ended(fmt.Sprintf("Close %d %s", code, reason))
		}
		r.pend(i, wsproto.OpClose, wsproto.AppendClosePayload(nil, code, ""))
	}
}
