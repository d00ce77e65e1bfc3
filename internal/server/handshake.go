package server

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// subprotocolV1 is the JSON form of the wire. A client that does not ask for it gets
// the raw one.
const subprotocolV1 = "doyasa.v1"

// SendBuffer is what the kernel may hold for one peer, in bytes: little, so that a slow one
// shows early and its place is kept as a cursor, not as copies. Whoever accepts connections
// sets it.
const SendBuffer = 128 << 10

// serveWebSocket answers the opening handshake and makes a session of the connection.
//
//  1. what is no handshake, comes from elsewhere, or is one too many, is refused in HTTP;
//  2. net/http hands the socket over, with the bytes it has read ahead;
//  3. the session asks for its place in the room, and the 101 is the first that it sends;
//     a page cannot see an HTTP refusal, so a bad query is refused behind that.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	from := s.requesterOf(r)
	request, wrong := s.admit(w, r, from)
	if wrong != nil {
		s.refuse(w, r, from, wrong)
		return
	}
	nc, early, err := hijack(w)
	if err != nil {
		s.release(from.network())
		s.refuse(w, r, from, &denial{status: http.StatusInternalServerError, reason: "internal", detail: "hijack: " + err.Error()})
		return
	}
	taken := false // by the loop
	defer func() {
		if !taken { // also in a panic, which net/http logs; a socket taken over is ours to close
			nc.Close()
			s.release(from.network())
		}
	}()
	nc.SetDeadline(time.Time{})
	query := s.parseQuery(r, from)
	s.settling.note()
	taken = s.sockets.Serve(nc, early, func(c loop.Conn) loop.Session {
		subprotocol := ""
		if slices.Contains(request.Subprotocols, subprotocolV1) {
			subprotocol = subprotocolV1
		}
		ss := s.open(c, query, subprotocol)
		// Only now: whoever has seen the 101 gets whatever is said from then on, and the raw form has nothing else to tell it by.
		ss.out = wsproto.AppendResponse(ss.out, request.Key, subprotocol)
		c.Wake()
		s.metrics.noteHandshake(began)
		return ss
	})
}

// admit reserves a place for who makes a handshake that may become a connection, or tells why it
// may not. It is a function of its own because goroutines of net/http have small stacks, which
// it would cost a twentieth of a handshake to grow: what is needed here is not needed behind it.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, from requester) (request wsproto.Request, wrong *denial) {
	request, err := wsproto.CheckRequest(r.Method, r.ProtoMajor, r.ProtoMinor, r.Header)
	if refused, ok := errors.AsType[*wsproto.HandshakeError](err); ok {
		if refused.Field != "" {
			w.Header().Set(refused.Field, refused.Value)
		}
		if refused.Field == "Upgrade" {
			w.Header().Set("Connection", "Upgrade") // it names the hop-by-hop fields (RFC 9110 §7.6.1)
		}
		return request, &denial{status: refused.Status, reason: "bad_handshake", detail: refused.Detail}
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return request, &denial{status: http.StatusBadRequest, reason: "bad_handshake", detail: "a handshake has no body"}
	}
	if wrong := s.checkOrigin(r); wrong != nil {
		return request, wrong
	}
	if s.draining.Load() {
		return request, &denial{status: http.StatusServiceUnavailable, reason: "shutting_down", detail: "shutting down", retry: time.Second}
	}
	if full := s.reserve(from); full != nil {
		return request, full
	}
	return request, nil
}

// hijack takes the socket over with the bytes that net/http has read ahead of us: up to
// 4,096 that came with the request, or one that came while the handler ran. The rest
// is still in the socket.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
	return nc, append([]byte(nil), ahead...), nil
}

// parseQuery reads what the client wants of the room. Whatever is wrong with it is
// found in refusal, a stable code.
func (s *Server) parseQuery(r *http.Request, from requester) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{
		room:    s.cfg.Rooms.Default,
		history: s.cfg.History.Join,
		epoch:   values.Get("epoch"),
		session: values.Get("session"),
		from:    from,
		guest:   guestName(r.Header.Get("Accept-Language")),
	}
	if err != nil {
		q.refusal = "bad_query"
		return q
	}
	ok := true
	if values.Has("room") {
		if q.room, ok = config.CleanRoom(values.Get("room")); !ok {
			q.refusal, q.seen = "bad_room", values.Get("room")
		}
	}
	if name := values.Get("name"); name != "" {
		if q.name, ok = cleanName(name); !ok {
			q.refusal, q.seen = "bad_name", name
		}
	}
	if values.Has("after") {
		q.resume = true
		if q.after, err = strconv.ParseUint(values.Get("after"), 10, 53); err != nil {
			q.refusal, q.seen = "bad_after", values.Get("after")
		}
	}
	if values.Has("history") {
		if n, err := strconv.Atoi(values.Get("history")); err == nil || errors.Is(err, strconv.ErrRange) { // then n is the nearest
			q.history = min(max(n, 0), maxPage)
		}
	}
	return q
}

// A query is what a client asks for in the handshake's URL.
type query struct {
	room    string
	name    string // as wished, or ""
	guest   string // the pattern of a name for who wishes none
	resume  bool   // after is given
	after   uint64
	epoch   string
	session string
	history int
	from    requester
	refusal string // a stable code, if the query is refused
	seen    string // what was wrong, as it came
}

// guestName is the pattern of guest names in the language of the browser.
func guestName(acceptLanguage string) string {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(acceptLanguage)), "en") {
		return "Guest "
	}
	return "ゲスト"
}
