package wsproto_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/doyasa/doyasa/wsproto"
)

func ExampleParseHeader() {
	// The masked "Hello" of §5.7.
	b := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	h, n, err := wsproto.ParseHeader(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	payload := b[n : n+int(h.PayloadLen)]
	wsproto.Mask(h.MaskingKey, 0, payload)
	fmt.Printf("%v, FIN %v, %d bytes: %s\n", h.Opcode, h.Fin, h.PayloadLen, payload)

	_, _, err = wsproto.ParseHeader(b[:1])
	fmt.Println(errors.Is(err, wsproto.ErrNeedMore))
	_, _, err = wsproto.ParseHeader([]byte{0x83, 0x00})
	fmt.Println(err)
	// Output:
	// text, FIN true, 5 bytes: Hello
	// true
	// websocket: RFC 6455 §5.2: reserved opcode
}

func ExampleAssembler() {
	// A text message in two fragments, with a ping between them, as a client receives them.
	stream := []byte("\x01\x06どや" + "\x89\x02hi" + "\x80\x03さ")
	a := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{MessageBytes: 65536, Fragments: 1024})
	for b := stream; len(b) > 0; {
		var ev wsproto.Event
		var err error
		if ev, b, err = a.Next(b); err != nil {
			fmt.Println(err, wsproto.CloseCodeOf(err))
			return
		}
		if ev.Opcode != wsproto.OpContinuation {
			fmt.Printf("%v: %s\n", ev.Opcode, ev.Payload)
		}
	}
	// Output:
	// ping: hi
	// text: どやさ
}

// echo is a whole WebSocket server on net/http.
func echo(w http.ResponseWriter, r *http.Request) {
	req, err := wsproto.CheckRequest(r.Method, r.ProtoMajor, r.ProtoMinor, r.Header)
	if he, ok := errors.AsType[*wsproto.HandshakeError](err); ok {
		maps.Copy(w.Header(), he.Header)
		http.Error(w, he.Detail, he.Status)
		return
	}
	conn, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write(wsproto.AppendResponse(nil, req.Key, ""))

	a := wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{MessageBytes: 65536, Fragments: 1024})
	buf := make([]byte, 4096)
	for {
		n, err := early.Read(buf) // not conn.Read: frames may have come with the request
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) > 0; {
			var ev wsproto.Event
			if ev, b, err = a.Next(b); err != nil {
				conn.Write(wsproto.AppendCloseFrame(nil, nil, wsproto.CloseCodeOf(err), ""))
				return
			}
			switch ev.Opcode {
			case wsproto.OpText, wsproto.OpBinary:
				conn.Write(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: ev.Opcode}, ev.Payload))
			case wsproto.OpPing:
				conn.Write(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpPong}, ev.Payload))
			case wsproto.OpClose:
				conn.Write(wsproto.AppendCloseFrame(nil, nil, ev.Code, ""))
				return
			}
		}
	}
}

// An echo server and a client, over a real connection.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	addr := server.Listener.Addr().String()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	// The opening handshake. What follows the response in the same read are frames already.
	nonce := make([]byte, 16)
	rand.Read(nonce)
	key := base64.StdEncoding.EncodeToString(nonce)
	conn.Write(wsproto.AppendRequest(nil, wsproto.ClientRequest{Host: addr, Target: "/", Key: key}))
	var in []byte
	n, err := 0, wsproto.ErrNeedMore
	for errors.Is(err, wsproto.ErrNeedMore) {
		buf := make([]byte, 4096)
		got, readErr := conn.Read(buf)
		if readErr != nil {
			fmt.Println(readErr)
			return
		}
		in = append(in, buf[:got]...)
		_, n, err = wsproto.ParseResponse(in, key)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	in = in[n:]

	// Every frame of a client is masked, with a key of its own.
	for _, m := range []struct {
		op      wsproto.Opcode
		payload string
	}{
		{wsproto.OpText, "どやさ"},
		{wsproto.OpPing, "still there?"},
	} {
		h := wsproto.Header{Fin: true, Opcode: m.op, Masked: true}
		rand.Read(h.MaskingKey[:])
		conn.Write(wsproto.AppendFrame(nil, h, []byte(m.payload)))
	}
	var maskingKey [4]byte
	rand.Read(maskingKey[:])
	conn.Write(wsproto.AppendCloseFrame(nil, &maskingKey, wsproto.CloseNormalClosure, ""))

	rest, err := io.ReadAll(conn) // a client with more to say would read piece by piece
	if err != nil {
		fmt.Println(err)
		return
	}
	a := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	for b := append(in, rest...); len(b) > 0; {
		var ev wsproto.Event
		if ev, b, err = a.Next(b); err != nil {
			fmt.Println(err)
			return
		}
		switch ev.Opcode {
		case wsproto.OpContinuation:
		case wsproto.OpClose:
			fmt.Println("close:", ev.Code)
		default:
			fmt.Printf("%v: %s\n", ev.Opcode, ev.Payload)
		}
	}
	// Output:
	// text: どやさ
	// pong: still there?
	// close: 1000
}
