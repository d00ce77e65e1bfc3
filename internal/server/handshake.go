package server

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/wsproto"
)

// SendBuffer is how many bytes the kernel may hold for one client. It is small, so that the server notices a
// slow client early. What such a client has not read stays in the log, which all members share, and is not
// copied into the kernel for each client. The code that accepts connections sets it.
const SendBuffer = 128 << 10

// serveWebSocket answers the opening handshake and passes the connection to package chat.
//
//  1. It refuses requests over HTTP if they are not a handshake, come from another site, or exceed a limit.
//  2. It takes over the socket from net/http, with the bytes that net/http has read ahead.
//  3. The session asks for a place in the room and sends the 101. A bad query is refused after the 101 with a
//     Close frame, because a page cannot see why a handshake was refused over HTTP.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	from := s.peerOf(r)
	request, why := s.admit(w, r, from)
	if why != nil {
		s.refuse(w, r, from, why)
		return
	}
	nc, early, err := hijack(w)
	if err != nil {
		s.connections.Release(from.Network())
		s.refuse(w, r, from, &refusal{code: chat.Internal, status: http.StatusInternalServerError, text: "hijack: " + err.Error()})
		return
	}
	taken := false
	defer func() {
		if !taken { // net/http no longer closes the socket, not even after a panic, so this function must
			nc.Close()
			s.connections.Release(from.Network())
		}
	}()
	nc.SetDeadline(time.Time{})
	wish := s.parseQuery(r, from)
	wish.Began = began
	subprotocol := ""
	if slices.Contains(request.Subprotocols, chat.V1) {
		subprotocol, wish.V1 = chat.V1, true
	}
	wish.Response = wsproto.AppendResponse(nil, request.Key, subprotocol)
	taken = s.sessions.Serve(nc, early, wish)
}

// admit reserves a connection for a valid handshake, or returns why the handshake is refused. It is a
// separate function so that its locals are not on the stack during Serve. Otherwise net/http's small
// goroutine stack would have to grow, which costs 5 % of a handshake.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, from limit.Peer) (request wsproto.Request, why *refusal) {
	request, err := wsproto.CheckRequest(r.Method, r.ProtoMajor, r.ProtoMinor, r.Header)
	if refused, ok := errors.AsType[*wsproto.HandshakeError](err); ok {
		maps.Copy(w.Header(), refused.Header)
		return request, &refusal{code: chat.BadHandshake, status: refused.Status, text: refused.Detail}
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return request, &refusal{code: chat.BadHandshake, text: "a handshake has no body"}
	}
	if why := s.checkOrigin(r); why != nil {
		return request, why
	}
	if s.draining.Load() {
		return request, &refusal{code: chat.ShuttingDown, retry: time.Second}
	}
	switch verdict, open := s.connections.Reserve(from.Network()); verdict {
	case limit.Full:
		why = &refusal{code: chat.Connections, retry: 10 * time.Second,
			setting: "limits.connections", seen: open, allowed: s.connections.Max()}
	case limit.AddressFull:
		why = &refusal{code: chat.ConnectionsPerIP, retry: 10 * time.Second,
			setting: "limits.connections_per_ip", seen: open, allowed: s.cfg.Limits.ConnectionsPerIP}
	}
	return request, why
}

// hijack takes over the socket from net/http, with the bytes that net/http has read ahead. These are up to
// 4,096 bytes that came with the request, or one byte that came while the handler ran. All other bytes are
// still in the socket.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
	return nc, append([]byte(nil), ahead...), nil
}

// parseQuery reads what the client asks for. If the query is not valid, the request has a Refusal.
func (s *Server) parseQuery(r *http.Request, from limit.Peer) *chat.Request {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &chat.Request{
		From:    from,
		Room:    s.cfg.Rooms.Default,
		Guest:   guestName(r.Header.Get("Accept-Language")),
		Epoch:   values.Get("epoch"),
		Session: values.Get("session"),
		History: s.cfg.History.Join,
	}
	if err != nil {
		q.Refusal = chat.BadQuery
		return q
	}
	ok := true
	if values.Has("room") {
		if q.Room, ok = config.CleanRoom(values.Get("room")); !ok {
			q.Refusal, q.Seen = chat.BadRoom, values.Get("room")
		}
	}
	if name := values.Get("name"); name != "" {
		if q.Name, ok = chat.CleanName(name); !ok {
			q.Refusal, q.Seen = chat.BadName, name
		}
	}
	if values.Has("after") {
		q.Resume = true
		if q.After, err = strconv.ParseUint(values.Get("after"), 10, 53); err != nil {
			q.Refusal, q.Seen = chat.BadAfter, values.Get("after")
		}
	}
	if values.Has("history") {
		if n, err := strconv.Atoi(values.Get("history")); err == nil || errors.Is(err, strconv.ErrRange) { // if the number is out of range, n is the nearest number
			q.History = min(max(n, 0), chat.MaxPage)
		}
	}
	return q
}

// guestName returns the beginning of a guest's name. It is in the language that the page shows: Japanese or
// English, whichever the browser prefers, or else English. A client without the header is not a browser, and
// gets the Japanese name.
func guestName(acceptLanguage string) string {
	if acceptLanguage == "" {
		return "ゲスト"
	}
	name, best := "Guest ", 0.0
	for preference := range strings.SplitSeq(acceptLanguage, ",") {
		tag, parameters, _ := strings.Cut(preference, ";")
		base, _, _ := strings.Cut(strings.TrimSpace(tag), "-")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64)
		}
		switch {
		case weight <= best:
		case strings.EqualFold(base, "ja"):
			name, best = "ゲスト", weight
		case strings.EqualFold(base, "en"):
			name, best = "Guest ", weight
		}
	}
	return name
}
