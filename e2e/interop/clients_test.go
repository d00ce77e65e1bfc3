package interop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/lxzan/gws"

	"github.com/doyasa/doyasa/e2e/wire"
)

// A client is another project's client behind one interface. Everything that comes is an event; pings are answered as the library
// does it.
type client interface {
	send(opcode byte, payload []byte) error
	// sendInFragments sends one message in more than one frame.
	sendInFragments(opcode byte, payload []byte) error
	ping(payload []byte) error
	// close begins the closing handshake; code 1005 is none.
	close(code int) error
	events() <-chan event
}

// An event is a message, ping or pong, or the end.
type event struct {
	opcode  byte // 0: the connection failed, see err
	payload []byte
	code    int // of a Close frame
	err     error
}

// A dialer connects to ws://…; subprotocol may be empty.
type dialer func(ctx context.Context, url, subprotocol string) (client, error)

var dialers = map[string]dialer{"coder/websocket": dialCoder, "gobwas/ws": dialGobwas, "lxzan/gws": dialGws}

// inbox is an unbounded queue of events, so that no library's reading goroutine ever waits for the test.
type inbox struct {
	mu    sync.Mutex
	queue []event       // guarded by mu
	wake  chan struct{} // capacity 1; never closed
	out   chan event    // unbuffered; the pump closes it behind the last event
}

func newInbox(ctx context.Context) *inbox {
	in := &inbox{wake: make(chan struct{}, 1), out: make(chan event)}
	go in.pump(ctx)
	return in
}

func (in *inbox) events() <-chan event { return in.out }

func (in *inbox) put(e event) {
	in.mu.Lock()
	in.queue = append(in.queue, e)
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *inbox) pump(ctx context.Context) {
	defer close(in.out)
	for {
		in.mu.Lock()
		due := in.queue
		in.queue = nil
		in.mu.Unlock()
		for _, e := range due {
			select {
			case in.out <- e:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-in.wake:
		case <-ctx.Done():
			return
		}
	}
}

// coderClient is github.com/coder/websocket.
type coderClient struct {
	*inbox
	ctx     context.Context
	conn    *coder.Conn
	closing atomic.Bool // close tells how the connection ends, so the reading goroutine does not
}

func dialCoder(ctx context.Context, url, subprotocol string) (client, error) {
	c := &coderClient{inbox: newInbox(ctx), ctx: ctx}
	options := &coder.DialOptions{
		OnPingReceived: func(_ context.Context, p []byte) bool {
			c.put(event{opcode: wire.Ping, payload: bytes.Clone(p)})
			return true
		},
		OnPongReceived: func(_ context.Context, p []byte) { c.put(event{opcode: wire.Pong, payload: bytes.Clone(p)}) },
	}
	if subprotocol != "" {
		options.Subprotocols = []string{subprotocol}
	}
	conn, _, err := coder.Dial(ctx, url, options)
	if err != nil {
		return nil, err
	}
	if conn.Subprotocol() != subprotocol {
		return nil, fmt.Errorf("subprotocol %q, want %q", conn.Subprotocol(), subprotocol)
	}
	conn.SetReadLimit(-1)
	c.conn = conn
	go func() {
		for {
			typ, p, err := conn.Read(ctx)
			switch code := coder.CloseStatus(err); {
			case err != nil && c.closing.Load():
				return
			case code != -1:
				c.put(event{opcode: wire.Close, code: int(code)})
				return
			case err != nil:
				c.put(event{err: err})
				conn.CloseNow()
				return
			}
			c.put(event{opcode: byte(typ), payload: p}) // their message types are the opcodes
		}
	}()
	return c, nil
}

func (c *coderClient) send(opcode byte, p []byte) error {
	return c.conn.Write(c.ctx, coder.MessageType(opcode), p)
}

func (c *coderClient) sendInFragments(opcode byte, p []byte) error {
	w, err := c.conn.Writer(c.ctx, coder.MessageType(opcode))
	if err != nil {
		return err
	}
	for _, part := range thirds(p) { // a frame each, and an empty last one
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// ping waits for the pong, with a payload of the library's choice.
func (c *coderClient) ping([]byte) error { return c.conn.Ping(c.ctx) }

// close waits for the answer. The library reads it in this goroutine or in the one that reads, and returns nil if it has the same code.
func (c *coderClient) close(code int) error {
	c.closing.Store(true)
	if err := c.conn.Close(coder.StatusCode(code), ""); err != nil {
		return err
	}
	c.put(event{opcode: wire.Close, code: code})
	return nil
}

// gobwasClient is github.com/gobwas/ws with its wsutil.
type gobwasClient struct {
	*inbox
	mu   sync.Mutex // one writer at a time
	conn net.Conn
}

func dialGobwas(ctx context.Context, url, subprotocol string) (client, error) {
	d := ws.Dialer{}
	if subprotocol != "" {
		d.Protocols = []string{subprotocol}
	}
	conn, early, handshake, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if handshake.Protocol != subprotocol {
		return nil, fmt.Errorf("subprotocol %q, want %q", handshake.Protocol, subprotocol)
	}
	c := &gobwasClient{inbox: newInbox(ctx), conn: conn}
	var rw = struct {
		*gobwasClient
		reader
	}{c, conn}
	if early != nil { // frames came with the 101
		rw.reader = early
	}
	go func() {
		defer conn.Close()
		for {
			messages, err := wsutil.ReadServerMessage(rw.reader, nil)
			for _, m := range messages {
				e := event{opcode: byte(m.OpCode), payload: m.Payload}
				if m.OpCode == ws.OpClose {
					code, _ := ws.ParseCloseFrameData(m.Payload) // its CheckCloseFrameData knows no code above 1011
					if e.code = int(code); len(m.Payload) == 0 {
						e.code = 1005
					}
				}
				c.put(e)
				if m.OpCode == ws.OpPing {
					c.write(ws.NewPongFrame(m.Payload))
				}
				if m.OpCode == ws.OpClose {
					return
				}
			}
			if err != nil {
				c.put(event{err: err})
				return
			}
		}
	}()
	return c, nil
}

type reader interface{ Read([]byte) (int, error) }

func (c *gobwasClient) write(f ws.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := ws.CompileFrame(ws.MaskFrame(f)) // WriteFrame makes two writes of it, and the answer may come between them
	if err == nil {
		_, err = c.conn.Write(b)
	}
	return err
}

func (c *gobwasClient) send(opcode byte, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return wsutil.WriteClientMessage(c.conn, ws.OpCode(opcode), p)
}

func (c *gobwasClient) sendInFragments(opcode byte, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := wsutil.NewWriterSize(c.conn, ws.StateClientSide, ws.OpCode(opcode), 100)
	for _, part := range thirds(p) {
		if _, err := w.Write(part); err != nil {
			return err
		}
		if err := w.FlushFragment(); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (c *gobwasClient) ping(p []byte) error { return c.write(ws.NewPingFrame(p)) }

func (c *gobwasClient) close(code int) error {
	if code == 1005 {
		return c.write(ws.NewCloseFrame(nil))
	}
	return c.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
}

// gwsClient is github.com/lxzan/gws.
type gwsClient struct {
	*inbox
	conn *gws.Conn
}

func dialGws(ctx context.Context, url, subprotocol string) (client, error) {
	c := &gwsClient{inbox: newInbox(ctx)}
	options := &gws.ClientOption{Addr: url, CheckUtf8Enabled: true, RequestHeader: http.Header{}}
	if subprotocol != "" {
		options.RequestHeader.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	conn, _, err := gws.NewClient(gwsHandler{c.inbox}, options)
	if err != nil {
		return nil, err
	}
	if conn.SubProtocol() != subprotocol {
		return nil, fmt.Errorf("subprotocol %q, want %q", conn.SubProtocol(), subprotocol)
	}
	c.conn = conn
	go conn.ReadLoop()
	return c, nil
}

type gwsHandler struct{ in *inbox }

func (gwsHandler) OnOpen(*gws.Conn) {}

func (h gwsHandler) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	switch {
	case !errors.As(err, &closed):
		h.in.put(event{err: err})
	case closed.Code == 0: // its word for none
		h.in.put(event{opcode: wire.Close, code: 1005})
	default:
		h.in.put(event{opcode: wire.Close, code: int(closed.Code)})
	}
}

func (h gwsHandler) OnPing(conn *gws.Conn, p []byte) {
	h.in.put(event{opcode: wire.Ping, payload: bytes.Clone(p)})
	conn.WritePong(p)
}

func (h gwsHandler) OnPong(_ *gws.Conn, p []byte) {
	h.in.put(event{opcode: wire.Pong, payload: bytes.Clone(p)})
}

func (h gwsHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	h.in.put(event{opcode: byte(m.Opcode), payload: bytes.Clone(m.Bytes())})
}

func (c *gwsClient) send(opcode byte, p []byte) error {
	return c.conn.WriteMessage(gws.Opcode(opcode), p)
}

// sendInFragments: a fragment for each piece that its reader gives, and an empty last one.
func (c *gwsClient) sendInFragments(opcode byte, p []byte) error {
	return c.conn.WriteFile(gws.Opcode(opcode), &pieces{thirds(p)})
}

func (c *gwsClient) ping(p []byte) error { return c.conn.WritePing(p) }

// close sends the frame as a message, because WriteClose does not wait for the answer.
func (c *gwsClient) close(code int) error {
	return c.conn.WriteMessage(gws.OpcodeCloseConnection, wire.ClosePayload(code, ""))
}

// thirds cuts p into three.
func thirds(p []byte) [][]byte {
	a, b := len(p)/3, 2*len(p)/3
	return [][]byte{p[:a], p[a:b], p[b:]}
}
