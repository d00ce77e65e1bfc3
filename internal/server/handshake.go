package server

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// subprotocolV1 is the JSON form of the wire. A client that does not ask for it gets
// the raw one.
const subprotocolV1 = "doyasa.v1"

// sendBuffer is what the kernel may hold for one peer, in bytes: little, so that a slow
// one shows early and its place is kept as a cursor, not as copies.
const sendBuffer = 128 << 10

// serveWebSocket answers the opening handshake and makes a session of the connection.
//
//  1. what is no handshake, comes from elsewhere, or is one too many, is refused in HTTP;
//  2. net/http hands the socket over, with the bytes it has read ahead;
//  3. 101; a page cannot see an HTTP refusal, so a bad query is refused in the session.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	request, err := wsproto.CheckRequest(r.Method, r.ProtoMajor, r.ProtoMinor, r.Header)
	var refused *wsproto.HandshakeError
	if errors.As(err, &refused) {
		if refused.Field != "" {
			w.Header().Set(refused.Field, refused.Value)
		}
		if refused.Field == "Upgrade" {
			w.Header().Set("Connection", "Upgrade") // it names the hop-by-hop fields (RFC 9110 §7.6.1)
		}
		s.refuse(w, r, refused.Status, "bad_handshake", refused.Detail)
		return
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		s.refuse(w, r, http.StatusBadRequest, "bad_handshake", "a handshake has no body")
		return
	}
	if !s.checkOrigin(w, r) {
		return
	}
	if s.draining.Load() {
		w.Header().Set("Retry-After", "1")
		s.refuse(w, r, http.StatusServiceUnavailable, "shutting_down", "shutting down")
		return
	}
	if !s.reserve() {
		w.Header().Set("Retry-After", "10")
		s.refuse(w, r, http.StatusServiceUnavailable, "connections", "limits.connections are "+strconv.Itoa(s.maxConns)+" and all taken")
		return
	}

	subprotocol := ""
	for _, offered := range request.Subprotocols {
		if offered == subprotocolV1 {
			subprotocol = subprotocolV1
		}
	}
	nc, early, err := hijack(w)
	if err != nil {
		s.release()
		s.refuse(w, r, http.StatusInternalServerError, "internal", "hijack: "+err.Error())
		return
	}
	taken := false // by the loop
	defer func() {
		if !taken { // also in a panic, which net/http logs; a socket taken over is ours to close
			nc.Close()
			s.release()
		}
	}()
	nc.SetDeadline(time.Now().Add(s.cfg.Limits.HandshakeTimeout))
	_, err = nc.Write(wsproto.AppendResponse(nil, request.Key, subprotocol))
	nc.SetDeadline(time.Time{})
	if err == nil {
		tune(nc)
		query := s.parseQuery(r)
		s.metrics.noteHandshake(began)
		taken = s.sockets.Serve(nc, early, func(c loop.Conn) loop.Session { return s.open(c, query, subprotocol) })
	}
}

// refuse answers in HTTP and ends the connection, so that nothing behind the request is
// taken for another.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	s.metrics.refusals.WithLabelValues(code).Inc()
	s.log.Info().Str("remote", r.RemoteAddr).Str("path", r.URL.Path).Int("status", status).Str("reason", detail).Msg("refused")
	h := w.Header()
	h["Connection"] = append([]string{"close"}, h["Connection"]...) // net/http looks at the first
	http.Error(w, detail, status)
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

func tune(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer)
	}
}

// checkOrigin refuses pages of other sites, whose scripts would speak with their
// visitor's network position (RFC 6455 §10.2).
func (s *Server) checkOrigin(w http.ResponseWriter, r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 || len(origins) == 1 && s.originAllowed(origins[0], r.Host, r.TLS != nil) {
		return true
	}
	s.log.Warn().Str("remote", r.RemoteAddr).Strs("origin", origins).Str("host", r.Host).
		Msg("refused: the Origin is neither that of the Host nor allowed; set public_url (or allowed_origins) to the address people open")
	s.metrics.refusals.WithLabelValues("origin").Inc()
	w.Header().Set("Connection", "close")
	http.Error(w, "this origin may not connect: its address must be the server's public_url or in allowed_origins", http.StatusForbidden)
	return false
}

// parseQuery reads what the client wants of the room. Whatever is wrong with it is
// found in refusal, a stable code.
func (s *Server) parseQuery(r *http.Request) query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := query{
		room:    s.cfg.Rooms.Default,
		history: s.cfg.History.Join,
		epoch:   values.Get("epoch"),
		session: values.Get("session"),
		remote:  r.RemoteAddr,
		guest:   guestName(r.Header.Get("Accept-Language")),
	}
	if err != nil {
		q.refusal = "bad_query"
		return q
	}
	ok := true
	if values.Has("room") {
		if q.room, ok = cleanRoom(values.Get("room")); !ok {
			q.refusal = "bad_room"
		}
	}
	if name := values.Get("name"); name != "" {
		if q.name, ok = cleanName(name); !ok {
			q.refusal = "bad_name"
		}
	}
	if values.Has("after") {
		q.resume = true
		if q.after, err = strconv.ParseUint(values.Get("after"), 10, 53); err != nil {
			q.refusal = "bad_after"
		}
	}
	if n, err := strconv.Atoi(values.Get("history")); err == nil {
		q.history = min(max(n, 0), maxPage)
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
	remote  string
	refusal string // a stable code, if the query is refused
}

// guestName is the pattern of guest names in the language of the browser.
func guestName(acceptLanguage string) string {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(acceptLanguage)), "en") {
		return "Guest "
	}
	return "ゲスト"
}
