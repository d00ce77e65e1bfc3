// Package differential_test holds the codec against those of github.com/gobwas/ws and github.com/coder/websocket: the same bytes must
// give the same messages and control frames and be refused at the same place, but where a disagreement is explained here.
package differential_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/doyasa/doyasa/internal/vectors"
	"github.com/doyasa/doyasa/wsproto"
)

// An outcome is what an implementation makes of a stream that a server receives.
type outcome struct {
	events  []string
	refused string // why the connection was failed; empty if it was not
	starved bool   // of the others: the stream ended before that
}

func (o outcome) String() string {
	return fmt.Sprintf("%q, refused: %q", o.events, o.refused)
}

func event(name string, payload []byte) string { return fmt.Sprintf("%s %x", name, payload) }

func ours(stream []byte) (o outcome) {
	in := wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{})
	for b := bytes.Clone(stream); len(b) > 0; {
		ev, rest, err := in.Next(b)
		if err != nil {
			var broken *wsproto.ProtocolError
			if errors.As(err, &broken) {
				o.refused = broken.Detail
			}
			return o
		}
		b = rest
		switch ev.Opcode {
		case wsproto.OpContinuation:
		case wsproto.OpClose:
			o.events = append(o.events, fmt.Sprintf("close %d %q", ev.Code, ev.Reason))
			return o
		default:
			o.events = append(o.events, event(ev.Opcode.String(), ev.Payload))
		}
	}
	return o
}

// gobwas reads as its documentation says a strict server does.
func gobwas(stream []byte) (o outcome) {
	r := wsutil.Reader{Source: bytes.NewReader(stream), State: ws.StateServerSide, CheckUTF8: true}
	control := func(h ws.Header, payload io.Reader) error {
		p, err := io.ReadAll(payload)
		switch {
		case err != nil:
			return err
		case int64(len(p)) < h.Length:
			return io.ErrUnexpectedEOF
		case h.OpCode != ws.OpClose:
			o.events = append(o.events, event(map[ws.OpCode]string{ws.OpPing: "ping", ws.OpPong: "pong"}[h.OpCode], p))
			return nil
		case len(p) == 0:
			o.events = append(o.events, `close 1005 ""`)
			return errClosed
		}
		code, reason := ws.ParseCloseFrameData(p)
		if err := ws.CheckCloseFrameData(code, reason); err != nil {
			return err
		}
		o.events = append(o.events, fmt.Sprintf("close %d %q", code, reason))
		return errClosed
	}
	r.OnIntermediate = control
	fail := func(err error) outcome {
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			o.starved = true // io.EOF may also stand for the end within a header
		case !errors.Is(err, errClosed):
			o.refused = err.Error()
		}
		return o
	}
	for {
		h, err := r.NextFrame()
		if err != nil {
			return fail(err)
		}
		if h.OpCode.IsControl() {
			if err := control(h, &r); err != nil {
				return fail(err)
			}
			continue
		}
		p, err := io.ReadAll(&r)
		if err != nil {
			return fail(err)
		}
		o.events = append(o.events, event(map[ws.OpCode]string{ws.OpText: "text", ws.OpBinary: "binary"}[h.OpCode], p))
	}
}

var errClosed = errors.New("a Close frame")

// coder accepts a connection whose peer has sent the stream and hears nothing.
func coder(t testing.TB, stream []byte) (o outcome) {
	request := httptest.NewRequest("GET", "/", nil)
	request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	conn, err := websocket.Accept(&hijacker{httptest.NewRecorder(), &deaf{in: bytes.NewReader(stream)}}, request, &websocket.AcceptOptions{
		OnPingReceived: func(_ context.Context, p []byte) bool { o.events = append(o.events, event("ping", p)); return false },
		OnPongReceived: func(_ context.Context, p []byte) { o.events = append(o.events, event("pong", p)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for {
		kind, p, err := conn.Read(context.Background())
		if err == nil {
			o.events = append(o.events, event(map[websocket.MessageType]string{websocket.MessageText: "text", websocket.MessageBinary: "binary"}[kind], p))
			continue
		}
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			o.events = append(o.events, fmt.Sprintf("close %d %q", closed.Code, closed.Reason))
		case errors.Is(err, errStarved):
			o.starved = true
		default:
			o.refused = err.Error()
		}
		return o
	}
}

// hijacker hands over a deaf connection.
type hijacker struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// deaf is a connection from which a stream can be read and to which anything can be written. It does not end with io.EOF: coder
// takes that for the end of a message, also where the message is not whole.
type deaf struct{ in *bytes.Reader }

var errStarved = errors.New("the stream ends")

func (d *deaf) Read(b []byte) (n int, err error) {
	if n, err = d.in.Read(b); err == io.EOF {
		err = errStarved
	}
	return n, err
}
func (d *deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (d *deaf) Close() error                     { return nil }
func (d *deaf) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (d *deaf) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (d *deaf) SetDeadline(time.Time) error      { return nil }
func (d *deaf) SetReadDeadline(time.Time) error  { return nil }
func (d *deaf) SetWriteDeadline(time.Time) error { return nil }

// An explanation is a rule in which another implementation differs. Ours is the stricter one each time, but for the last.
type explanation struct {
	who   string
	ours  string // what we refuse with, or "" where they refuse and we do not
	their string // what they refuse with then
	why   string
	only  func(next string) bool // what they make of what we refuse; nil is anything
}

var explanations = []explanation{
	{"gobwas", "payload length not in its shortest form", "", "section 5.2: the minimal number of bytes MUST be used; gobwas and coder take any", nil},
	{"coder", "payload length not in its shortest form", "", "the same", nil},
	{"gobwas", "control frame with more than 125 bytes of payload", "", "the same: we need not see a length beyond 125 that a longer form announces", nil},
	{"coder", "control frame with more than 125 bytes of payload", "", "the same", nil},
	{"coder", "text is not UTF-8", "", "section 8.1: coder leaves text to the application", nil},
	{"coder", "text ends within a character", "", "the same", nil},
	{"coder", "close reason is not UTF-8", "", "section 5.5.1: the same of a Close frame's reason", closesWith(0)},
	{"gobwas", "close code that may not be sent", "", "section 7.4.2: there are no codes from 5000 on; gobwas takes them", closesWith(5000)},
	{"gobwas", "", "status code is not defined in spec", "section 7.4.2: 1012 to 1014 are in IANA's registry by now; gobwas knows those of the RFC", nil},
}

// closesWith tells whether an event is a Close frame with a code from least on.
func closesWith(least int) func(string) bool {
	return func(event string) bool {
		code := 0
		n, _ := fmt.Sscanf(event, "close %d", &code)
		return n == 1 && code >= least
	}
}

// explain compares what two implementations made of a stream. It returns the explanation that accounts for a difference, nil if there
// is none, and false if none does.
func explain(who string, our, their outcome) (*explanation, bool) {
	n := len(our.events)
	if our.refused != "" {
		// They may find the end of the stream before the fault, which we need not see whole.
		if slices.Equal(our.events, their.events) && (their.refused != "" || their.starved) {
			return nil, true
		}
		for i, e := range explanations {
			if e.who == who && e.ours != "" && strings.HasPrefix(our.refused, e.ours) && len(their.events) >= n && slices.Equal(our.events, their.events[:n]) &&
				(e.only == nil || len(their.events) > n && e.only(their.events[n])) {
				return &explanations[i], true
			}
		}
		return nil, false
	}
	if slices.Equal(our.events, their.events) && their.refused == "" {
		return nil, true
	}
	for i, e := range explanations {
		if e.who == who && e.ours == "" && e.their == their.refused && len(their.events) == n-1 && slices.Equal(our.events[:n-1], their.events) {
			return &explanations[i], true
		}
	}
	return nil, false
}

func seeds(t testing.TB) (all [][]byte) {
	for _, s := range vectors.ReadStreams(t, "../../wsproto/testdata/stream.txt", "../../wsproto/testdata/hostile.txt") {
		if !s.Client {
			all = append(all, s.Wire())
		}
	}
	if len(all) == 0 {
		t.Fatal("no seed")
	}
	return all
}

// TestExplanations: the vectors need each explanation, and no other.
func TestExplanations(t *testing.T) {
	used := map[*explanation]int{}
	for _, stream := range seeds(t) {
		our := ours(stream)
		for who, their := range map[string]outcome{"gobwas": gobwas(stream), "coder": coder(t, stream)} {
			e, ok := explain(who, our, their)
			if !ok {
				t.Errorf("%.60x\nours:   %v\n%s: %v", stream, our, who, their)
			}
			used[e]++
		}
	}
	for i, e := range explanations {
		if used[&explanations[i]] == 0 {
			t.Errorf("no vector needs the explanation %v", e)
		}
	}
	t.Logf("%d comparisons without a difference", used[nil])
}

func FuzzDifferential(f *testing.F) {
	for _, stream := range seeds(f) {
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		our := ours(stream)
		for who, their := range map[string]outcome{"gobwas": gobwas(stream), "coder": coder(t, stream)} {
			if _, ok := explain(who, our, their); !ok {
				t.Errorf("ours:   %v\n%s: %v", our, who, their)
			}
		}
	})
}
