package server

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

// publishTimeout bounds how long a POST waits for the journal.
const publishTimeout = 5 * time.Second

const (
	defaultPage = 50        // messages of a GET that does not say
	maxBody     = 256 << 10 // bytes of text in the answer to one, but always one message
)

type historyBody struct {
	Epoch    string         `json:"epoch"`
	First    uint64         `json:"first"`
	Last     uint64         `json:"last"`
	Messages []messageFrame `json:"messages"`
}

// roomAndQuery reads what stands in the URL, or answers that it cannot be read.
func roomAndQuery(w http.ResponseWriter, r *http.Request) (room string, values url.Values, ok bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		answerError(w, http.StatusBadRequest, "bad_query", "the query cannot be read: "+err.Error(), 0)
		return "", nil, false
	}
	if room, ok = cleanRoom(r.PathValue("room")); !ok {
		answerError(w, http.StatusBadRequest, "bad_room", "a room is 1 to 64 letters, digits, - and _", 0)
	}
	return room, values, ok
}

// getMessages answers GET /api/rooms/{room}/messages: a page of history, oldest first.
// A room nobody has been in is an empty one.
func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) {
	room, values, ok := roomAndQuery(w, r)
	if !ok {
		return
	}
	q := hub.PageQuery{Limit: defaultPage, Bytes: maxBody, Newest: !values.Has("after")}
	for key, to := range map[string]*uint64{"after": &q.After, "before": &q.Before} {
		if !values.Has(key) {
			continue
		}
		n, err := strconv.ParseUint(values.Get(key), 10, 53)
		if err != nil || key == "before" && n == 0 {
			answerError(w, http.StatusBadRequest, "bad_"+key, `"`+key+`" must be a position`, 0)
			return
		}
		*to = n
	}
	if values.Has("limit") {
		n, err := strconv.ParseInt(values.Get("limit"), 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			answerError(w, http.StatusBadRequest, "bad_limit", `"limit" must be a number`, 0)
			return
		}
		q.Limit = int(min(max(n, 1), maxPage))
	}

	type result struct {
		page hub.Page
		err  error
	}
	read := make(chan result, 1) // the page; the journal sends once, never closed
	s.hub.Page(room, q, func(p hub.Page, err error) { read <- result{p, err} })
	select {
	case got := <-read:
		if got.err != nil {
			s.log.Error().Err(got.err).Msg("history could not be read")
			answerError(w, http.StatusServiceUnavailable, errInternal.code, "history could not be read", time.Second)
			return
		}
		body := historyBody{Epoch: got.page.Epoch, First: got.page.First, Messages: []messageFrame{}}
		if got.page.First > 0 {
			body.Last = got.page.Head
		}
		for _, m := range got.page.Messages {
			body.Messages = append(body.Messages, newMessageFrame(m))
		}
		answer(w, http.StatusOK, body)
	case <-r.Context().Done():
	}
}

// postMessage answers POST /api/rooms/{room}/messages: the body is said in the room.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	if !s.checkOrigin(w, r) {
		return
	}
	if s.draining.Load() {
		answerError(w, http.StatusServiceUnavailable, errBusy.code, "shutting down", time.Second)
		return
	}
	room, values, ok := roomAndQuery(w, r)
	if !ok {
		return
	}
	m := &hub.Message{ID: hub.ID(uuid.Must(uuid.NewV7()))}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if m.ID, m.Idempotent = parseID(key); !m.Idempotent {
			answerError(w, http.StatusBadRequest, errBadID.code, "Idempotency-Key must be a UUID in its 36-character form", 0)
			return
		}
	}
	address := remoteAddr(r)
	if m.From, ok = s.poster(r, values.Get("name"), address); !ok {
		answerError(w, http.StatusBadRequest, errBadName.code, errBadName.text, 0)
		return
	}
	textBytes := s.cfg.Limits.TextBytes
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.Limits.HandshakeTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(textBytes)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		answerError(w, http.StatusRequestEntityTooLarge, errTextTooLong.code, errTextTooLong.text, 0)
		return
	case err != nil:
		w.Header().Set("Connection", "close")
		answerError(w, http.StatusRequestTimeout, errBadText.code, "the body did not come", 0)
		return
	}
	text, wrong := cleanBody(body, textBytes)
	if wrong != nil {
		answerError(w, http.StatusBadRequest, wrong.code, wrong.text, 0)
		return
	}
	if wait, ok := s.posters.take(address, time.Now()); !ok {
		answerError(w, http.StatusTooManyRequests, errRateLimited.code, errRateLimited.text, wait)
		return
	}
	m.Payload = []byte(text)
	s.publish(w, r, room, m)
}

// cleanBody brings a body into the form of a text, or tells what is wrong with it.
func cleanBody(body []byte, textBytes int) (string, *clientError) {
	if !utf8.Valid(body) {
		return "", errBadText
	}
	return cleanText(string(body), textBytes)
}

// publish says m and answers with it as it was stored.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, room string, m *hub.Message) {
	ctx, cancel := context.WithTimeout(r.Context(), publishTimeout)
	defer cancel()
	stored, err := s.hub.Publish(ctx, room, m)
	switch {
	case err == nil:
		answer(w, http.StatusOK, newMessageFrame(stored))
	case errors.Is(err, hub.ErrRoomsFull):
		answerError(w, http.StatusServiceUnavailable, "rooms_full", "there are rooms.max rooms and each has somebody in it", 10*time.Second)
	case errors.Is(err, hub.ErrBusy), errors.Is(err, hub.ErrClosed):
		answerError(w, http.StatusServiceUnavailable, errBusy.code, errBusy.text, time.Second)
	case errors.Is(err, hub.ErrUnavailable):
		answerError(w, http.StatusServiceUnavailable, errNotStored.code, errNotStored.text, 30*time.Second)
	default:
		s.log.Error().Err(err).Msg("not stored")
		answerError(w, http.StatusServiceUnavailable, errInternal.code, errInternal.text, time.Second)
	}
}

// poster is who says what is posted: always the same id for the same name and address.
func (s *Server) poster(r *http.Request, name string, address netip.Addr) (hub.Author, bool) {
	id := uuid.NewSHA1(s.namespace, []byte(address.String()+"\x00"+name))
	if name == "" {
		n := int64(id[0])<<8 | int64(id[1])
		return hub.Author{ID: id.String(), Name: guestName(r.Header.Get("Accept-Language")) + strconv.FormatInt(n, 10)}, true
	}
	name, ok := cleanName(name)
	return hub.Author{ID: id.String(), Name: name}, ok
}

// remoteAddr is the address of the peer, of IPv6 the /64, which is what one customer
// has; the zero Addr if it has none.
func remoteAddr(r *http.Request) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	addr := peer.Addr().Unmap()
	if addr.Is6() {
		network, _ := addr.Prefix(64)
		return network.Addr()
	}
	return addr
}

type errorBody struct {
	Code       string `json:"code"`
	Text       string `json:"text"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
}

func answerError(w http.ResponseWriter, status int, code, text string, retryAfter time.Duration) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
	}
	answer(w, status, errorBody{code, text, int64(math.Ceil(retryAfter.Seconds() * 1000))})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(encodeJSON(body), '\n'))
}
