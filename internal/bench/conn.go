package bench

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// A conn is one connection, a member of one room.
type conn struct {
	room    int
	stalled bool // the connection stops reading during the measurement
	open    bool // the handshake is done
	closing bool // a Close frame has come, or the server broke the protocol: nothing more is read
	gone    bool // the connection has ended
	synced  bool // the connection has received a probe
	key     string
	answer  []byte // the part of the handshake's answer that has come so far

	pos  int64              // the position in the room's order of the message that must come next
	late map[key]struct{}   // messages before pos that the connection has not received
	seq  uint64             // the seq of the last message, for doyasa.v1
	in   *wsproto.Assembler // nil unless a part of a message has come
	out  []byte             // bytes that the socket has not taken yet
}

const subprotocol = "doyasa.v1"

// connected sends the opening handshake.
func (r *run) connected(i int) {
	r.reached = true
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

// received handles bytes that connection i has received. The caller may reuse them when it returns.
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

// handshake handles bytes of the server's answer, and returns the bytes after the answer.
func (r *run) handshake(i int, c *conn, b []byte) []byte {
	c.answer = append(c.answer, b...)
	var offered []string
	if r.opts.V1 {
		offered = []string{subprotocol}
	}
	chosen, n, err := wsproto.ParseResponse(c.answer, c.key, offered...)
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
	rest := c.answer[n:]
	c.answer, c.key = nil, ""
	c.open = true
	r.connecting--
	r.open++
	return rest
}

// explain adds advice to the error of a handshake.
func (r *run) explain(err error) error {
	refused, ok := errors.AsType[*wsproto.HandshakeError](err)
	switch {
	case !ok:
	case refused.Status == 503:
		return fmt.Errorf("%w\nthe server takes no more connections (limits.connections, or its descriptor limit, ulimit -n), or it is shutting down", err)
	case refused.Status == 404:
		return fmt.Errorf("%w\nis %s the path of the server's WebSocket endpoint?", err, r.opts.Path)
	case refused.Status == 0:
		return fmt.Errorf("%w\nis %v an HTTP server without TLS?", err, r.target)
	}
	return err
}

// ConnectError says that no connection to the server could be made.
type ConnectError struct {
	Address netip.AddrPort
	Err     error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("cannot connect to %v: %v", e.Address, e.Err)
}
func (e *ConnectError) Unwrap() error { return e.Err }

// connectFailed returns the error for connection i, which could not be made. It is a ConnectError only if the server has not accepted any
// connection yet.
func (r *run) connectFailed(i int, err error) error {
	if failed, ok := errors.AsType[*ConnectError](err); ok {
		if !r.reached {
			return failed
		}
		err = failed.Err
	}
	return fmt.Errorf("connection %d of %d: %w", i+1, len(r.conns), err)
}

// gone is called when connection i has ended. err is io.EOF if the server closed it in an orderly way.
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
			err = errors.New("the server closed it before it answered the handshake")
		}
		r.fail(r.connectFailed(i, err))
		return
	}
	r.open--
	if c.stalled {
		return
	}
	r.faults.closed++
	if !c.closing {
		r.faults.ended("without Close: " + err.Error())
	}
}

// parse handles bytes of an open connection. After nearly every read the Assembler holds no part of a message. So the connections share a
// few Assemblers, and take the one that was used last, because it is in the CPU cache. A connection keeps its Assembler only while a part
// of a message has come.
func (r *run) parse(i int, c *conn, b []byte, now time.Duration) {
	if c.in == nil {
		c.in = r.takeAssembler()
	}
	for len(b) > 0 && !c.closing {
		ev, rest, err := c.in.Next(b)
		if err != nil {
			r.broken(i, c, err)
			return
		}
		b = rest
		switch ev.Opcode {
		case wsproto.OpText, wsproto.OpBinary:
			r.message(i, c, ev.Payload, now)
			if ev.Own {
				c.in.Reuse(ev.Payload)
			}
		case wsproto.OpPing:
			r.pend(i, wsproto.OpPong, ev.Payload)
		case wsproto.OpClose:
			r.closed(i, c, ev)
		}
	}
	if c.in.Between() {
		r.assemblers = append(r.assemblers, c.in)
		c.in = nil
	}
}

// takeAssembler returns an Assembler that holds nothing. It has no limits, because others may send messages of any size to the room.
func (r *run) takeAssembler() *wsproto.Assembler {
	last := len(r.assemblers) - 1
	if last < 0 {
		return wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	}
	a := r.assemblers[last]
	r.assemblers = r.assemblers[:last]
	return a
}

// closed answers the Close frame of the server.
func (r *run) closed(i int, c *conn, ev wsproto.Event) {
	c.closing = true
	if !c.stalled {
		r.faults.ended(fmt.Sprintf("Close %d %s", ev.Code, ev.Reason))
	}
	key := newMaskingKey()
	c.out = wsproto.AppendCloseFrame(r.outOf(i), &key, ev.Code, "")
}

// broken ends a connection on which the server broke the protocol.
func (r *run) broken(i int, c *conn, err error) {
	c.closing = true
	if !c.stalled {
		r.faults.ended(err.Error())
	}
	r.gone(i, err)
}
