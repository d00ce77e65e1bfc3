package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
)

// journalTimeout bounds how long a request waits for the journal. Its own context does not: that ends as well when the
// peer has closed its sending side, and such a peer still waits for its answer.
const journalTimeout = 5 * time.Second

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
	if room, ok = config.CleanRoom(r.PathValue("room")); !ok {
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
	from := s.requesterOf(r)
	if wait, ok := s.quotas.history.take(from.network(), time.Now()); !ok {
		s.metrics.throttled.WithLabelValues("history").Inc()
		s.note(r, from, &denial{status: http.StatusTooManyRequests, reason: errRateLimited.code, detail: "too many pages of history"})
		answerError(w, http.StatusTooManyRequests, errRateLimited.code, "too many pages of history", wait)
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
	var got result
	select {
	case got = <-read:
	case <-time.After(journalTimeout):
		got.err = context.DeadlineExceeded
	}
	if got.err != nil {
		s.lines.event(&s.log, zerolog.ErrorLevel, from.network()).Err(got.err).Msg("history could not be read")
		answerError(w, http.StatusServiceUnavailable, errInternal.code, "history could not be read", time.Second)
		return
	}
	page := s.encodePage(got.page)
	if !s.answering.begin(from.network(), len(page)) {
		s.metrics.throttled.WithLabelValues("history").Inc()
		answerError(w, http.StatusServiceUnavailable, errBusy.code, "too many pages of history have not been read yet", time.Second)
		return
	}
	defer s.answering.end(from.network(), len(page))
	answerEncoded(w, http.StatusOK, page)
}

// encodePage is for one goroutine at a time: a crowd that asks for pages all at once would
// have those who move messages wait for a turn behind all of them.
func (s *Server) encodePage(p hub.Page) []byte {
	s.encoding.Lock()
	defer s.encoding.Unlock()
	body := historyBody{Epoch: p.Epoch, First: p.First, Messages: []messageFrame{}}
	if p.First > 0 {
		body.Last = p.Head
	}
	for _, m := range p.Messages {
		body.Messages = append(body.Messages, newMessageFrame(m))
	}
	return encodeJSON(body)
}

// postMessage answers POST /api/rooms/{room}/messages: the body is said in the room.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	from := s.requesterOf(r)
	if wrong := s.checkOrigin(r); wrong != nil {
		s.refuse(w, r, from, wrong)
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
	if key := strings.Join(r.Header["Idempotency-Key"], ", "); key != "" { // of two, neither
		if m.ID, m.Idempotent = parseID(key); !m.Idempotent {
			answerError(w, http.StatusBadRequest, errBadID.code, "Idempotency-Key must be a UUID in its 36-character form", 0)
			return
		}
	}
	if m.From, ok = s.poster(r, values.Get("name"), from.network()); !ok {
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
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		answerError(w, http.StatusRequestTimeout, errBadText.code, "the body did not come", 0)
		return
	case err != nil: // trying again, as 408 would invite to, does not help
		w.Header().Set("Connection", "close")
		answerError(w, http.StatusBadRequest, errBadText.code, "the body cannot be read", 0)
		return
	}
	text, wrong := cleanBody(body, textBytes)
	if wrong != nil {
		answerError(w, http.StatusBadRequest, wrong.code, wrong.text, 0)
		return
	}
	if !s.mayPost(w, r, from, room) {
		return
	}
	m.Payload = []byte(text)
	s.publish(w, r, from, room, m)
}

// mayPost tells whether an address may say one more message in a room, and make that if it is new, or answers that it may not.
func (s *Server) mayPost(w http.ResponseWriter, r *http.Request, from requester, room string) bool {
	now := time.Now()
	limits := s.cfg.Limits
	deny := func(wait time.Duration, setting string, allowed int, text string) bool {
		s.metrics.throttled.WithLabelValues(setting).Inc()
		s.note(r, from, &denial{status: http.StatusTooManyRequests, reason: errRateLimited.code, detail: text,
			setting: "limits." + setting, seen: "more", allowed: allowed})
		answerError(w, http.StatusTooManyRequests, errRateLimited.code, text, wait)
		return false
	}
	if wait, ok := s.quotas.posts.take(from.network(), now); !ok {
		return deny(wait, "messages_per_second", limits.MessagesPerSecond, errRateLimited.text)
	}
	if wait, ok := s.quotas.messages.take(from.network(), now); !ok {
		return deny(wait, "messages_per_second_per_ip", limits.MessagesPerSecondPerIP, errRateLimited.text)
	}
	if wait, ok := s.mayMakeRoom(room, from.network(), now); !ok {
		return deny(wait, "rooms_per_minute_per_ip", limits.RoomsPerMinutePerIP, "too many new rooms")
	}
	return true
}

// mayMakeRoom tells whether room is there already, or may be made from an address now.
func (s *Server) mayMakeRoom(room string, from network, now time.Time) (wait time.Duration, ok bool) {
	if room == s.cfg.Rooms.Default || s.hub.Has(room) {
		return 0, true
	}
	return s.quotas.rooms.take(from, now)
}

// cleanBody brings a body into the form of a text, or tells what is wrong with it.
func cleanBody(body []byte, textBytes int) (string, *clientError) {
	if !utf8.Valid(body) {
		return "", errBadText
	}
	return cleanText(string(body), textBytes)
}

// publish says m and answers with it as it was stored.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, from requester, room string, m *hub.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), journalTimeout)
	defer cancel()
	stored, err := s.hub.Publish(ctx, room, m)
	switch {
	case err == nil:
		answer(w, http.StatusOK, newMessageFrame(stored))
	case errors.Is(err, hub.ErrRoomsFull):
		s.note(r, from, &denial{status: http.StatusServiceUnavailable, reason: "rooms_full", setting: "rooms.max", seen: s.cfg.Rooms.Max, allowed: s.cfg.Rooms.Max, detail: err.Error()})
		answerError(w, http.StatusServiceUnavailable, "rooms_full", "there are rooms.max rooms and each has somebody in it", 10*time.Second)
	case errors.Is(err, hub.ErrBusy), errors.Is(err, hub.ErrClosed):
		answerError(w, http.StatusServiceUnavailable, errBusy.code, errBusy.text, time.Second)
	case errors.Is(err, hub.ErrUnavailable):
		answerError(w, http.StatusServiceUnavailable, errNotStored.code, errNotStored.text, 30*time.Second)
	default:
		s.lines.event(&s.log, zerolog.ErrorLevel, from.network()).Err(err).Msg("not stored")
		answerError(w, http.StatusServiceUnavailable, errInternal.code, errInternal.text, time.Second)
	}
}

// poster is who says what is posted: always the same id for the same name and address.
func (s *Server) poster(r *http.Request, name string, from network) (hub.Author, bool) {
	id := uuid.NewSHA1(s.namespace, fmt.Appendf(nil, "%d\x00%s", from, name))
	if name == "" {
		n := int64(id[0])<<8 | int64(id[1])
		return hub.Author{ID: id.String(), Name: guestName(r.Header.Get("Accept-Language")) + strconv.FormatInt(n, 10)}, true
	}
	name, ok := cleanName(name)
	return hub.Author{ID: id.String(), Name: name}, ok
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
	answerEncoded(w, status, encodeJSON(body))
}

func answerEncoded(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
