package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
)

// journalTimeout is how long a request waits for the journal. The context of the request cannot limit this
// wait: it ends as soon as the client closes its sending side, and such a client still waits for its answer.
const journalTimeout = 5 * time.Second

const (
	defaultPage = 50        // messages in a page, if the request does not say how many
	maxBody     = 256 << 10 // bytes of text in a page; a page has at least one message
)

type historyBody struct {
	Epoch    string              `json:"epoch"`
	First    uint64              `json:"first"`
	Last     uint64              `json:"last"`
	Known    *bool               `json:"known,omitempty"` // false if the server does not know the position that the parameter "after" names
	Messages []chat.MessageFrame `json:"messages"`
}

// roomAndQuery returns the room and the query of the URL. If they are not valid, it answers with an error.
func roomAndQuery(w http.ResponseWriter, r *http.Request) (room string, values url.Values, ok bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, &refusal{code: chat.BadQuery, text: "the query cannot be read: " + err.Error()})
		return "", nil, false
	}
	if room, ok = config.CleanRoom(r.PathValue("room")); !ok {
		writeCode(w, chat.BadRoom)
	}
	return room, values, ok
}

// getMessages answers GET /api/rooms/{room}/messages with a page of history, oldest message first. A room
// that does not exist has an empty page.
func (s *Server) getMessages(w http.ResponseWriter, r *http.Request) {
	room, values, ok := roomAndQuery(w, r)
	if !ok {
		return
	}
	from := s.peerOf(r)
	if wait, ok := s.quotas.History.Take(from.Network(), time.Now()); !ok {
		s.throttle(w, r, from, "history", &refusal{code: chat.RateLimited, text: "too many pages of history", retry: wait})
		return
	}
	q, wrong := parsePage(values)
	if wrong != nil {
		writeCode(w, wrong)
		return
	}
	read, err := s.readPage(room, q)
	if err != nil {
		s.log.About(from.Network(), zerolog.ErrorLevel).Err(err).Msg("history could not be read")
		writeError(w, &refusal{code: chat.Internal, text: "history could not be read", retry: time.Second})
		return
	}
	page := s.encodePage(read, q)
	if !s.replies.Begin(from.Network(), len(page)) {
		s.metrics.throttled.WithLabelValues("history").Inc()
		writeError(w, &refusal{code: chat.Busy, text: "too many pages of history have not been read yet", retry: time.Second})
		return
	}
	defer s.replies.End(from.Network(), len(page))
	writeJSON(w, http.StatusOK, page)
}

// parsePage returns which page the query asks for, or what is wrong with the query.
func parsePage(values url.Values) (hub.PageQuery, *chat.Code) {
	q := hub.PageQuery{Limit: defaultPage, Bytes: maxBody, Newest: !values.Has("after")}
	var err error
	if values.Has("after") {
		if q.After, err = strconv.ParseUint(values.Get("after"), 10, 53); err != nil {
			return q, chat.BadAfter
		}
	}
	if values.Has("before") {
		if q.Before, err = strconv.ParseUint(values.Get("before"), 10, 53); err != nil || q.Before == 0 {
			return q, chat.BadBefore
		}
	}
	if values.Has("limit") {
		n, err := strconv.ParseInt(values.Get("limit"), 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // if the number is out of range, n is the nearest number
			return q, chat.BadLimit
		}
		q.Limit = int(min(max(n, 1), chat.MaxPage))
	}
	return q, nil
}

// readPage reads a page of history from the journal.
func (s *Server) readPage(room string, q hub.PageQuery) (hub.Page, error) {
	type result struct {
		page hub.Page
		err  error
	}
	read := make(chan result, 1) // capacity 1; has the page; the journal sends once, never closed
	s.hub.Page(room, q, func(p hub.Page, err error) { read <- result{p, err} })
	select {
	case got := <-read:
		return got.page, got.err
	case <-time.After(journalTimeout):
		return hub.Page{}, context.DeadlineExceeded
	}
}

// encodePage encodes a page. Only one page is encoded at a time, so that many requests do not take the CPU
// from the hub and the lanes.
func (s *Server) encodePage(p hub.Page, q hub.PageQuery) []byte {
	s.encoding.Lock()
	defer s.encoding.Unlock()
	body := historyBody{Epoch: p.Epoch, First: p.First, Messages: []chat.MessageFrame{}}
	if !q.Newest && !p.Known {
		body.Known = new(bool) // false
	}
	if p.First > 0 {
		body.Last = p.Head
	}
	for _, m := range p.Messages {
		body.Messages = append(body.Messages, chat.NewMessageFrame(m))
	}
	return chat.EncodeJSON(body)
}

// postMessage answers POST /api/rooms/{room}/messages. It says the body in the room.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) {
	from := s.peerOf(r)
	if why := s.checkOrigin(r); why != nil {
		s.refuse(w, r, from, why)
		return
	}
	if s.draining.Load() {
		writeError(w, &refusal{code: chat.Busy, text: "shutting down", retry: time.Second})
		return
	}
	room, values, ok := roomAndQuery(w, r)
	if !ok {
		return
	}
	m := &hub.Message{ID: hub.ID(uuid.Must(uuid.NewV7()))}
	if key := strings.Join(r.Header["Idempotency-Key"], ", "); key != "" { // several fields make an invalid key
		if len(key) == 38 && key[0] == '"' && key[37] == '"' { // the draft about this header wants quotes
			key = key[1:37]
		}
		if m.ID, m.Idempotent = chat.ParseID(key); !m.Idempotent {
			writeError(w, &refusal{code: chat.BadID, text: "Idempotency-Key must be a UUID in its 36-character form"})
			return
		}
	}
	if m.From, ok = s.poster(r, values.Get("name"), from.Network()); !ok {
		writeCode(w, chat.BadName)
		return
	}
	text, wrong := s.readText(w, r)
	if wrong != nil {
		writeError(w, wrong)
		return
	}
	if why, setting := s.mayPost(from, room); why != nil {
		s.throttle(w, r, from, setting, why)
		return
	}
	m.Payload = []byte(text)
	s.publish(w, r, from, room, m)
}

// mayPost takes the tokens for one more message of an address in a room, which is created if it is new. If a
// token is missing, it returns the refusal and the limit that was reached.
func (s *Server) mayPost(from limit.Peer, room string) (why *refusal, setting string) {
	now := time.Now()
	limits := s.cfg.Limits
	deny := func(wait time.Duration, setting string, allowed int, text string) (*refusal, string) {
		return &refusal{code: chat.RateLimited, text: text, retry: wait,
			setting: "limits." + setting, seen: "more", allowed: allowed}, setting
	}
	if wait, ok := s.quotas.Posts.Take(from.Network(), now); !ok {
		return deny(wait, "messages_per_second", limits.MessagesPerSecond, "")
	}
	if wait, ok := s.quotas.Messages.Take(from.Network(), now); !ok {
		return deny(wait, "messages_per_second_per_ip", limits.MessagesPerSecondPerIP, "")
	}
	if wait, ok := s.sessions.MayMakeRoom(room, from.Network(), now); !ok {
		return deny(wait, "rooms_per_minute_per_ip", limits.RoomsPerMinutePerIP, "too many new rooms")
	}
	return nil, ""
}

// throttle answers a request that a limit refuses. The connection stays open.
func (s *Server) throttle(w http.ResponseWriter, r *http.Request, from limit.Peer, setting string, why *refusal) {
	s.metrics.throttled.WithLabelValues(setting).Inc()
	s.note(r, from, why)
	writeError(w, why)
}

// publish says m and answers with the stored message.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, from limit.Peer, room string, m *hub.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), journalTimeout)
	defer cancel()
	stored, err := s.hub.Publish(ctx, room, m)
	if err == nil {
		writeJSON(w, http.StatusOK, chat.EncodeJSON(chat.NewMessageFrame(stored)))
		return
	}
	why := &refusal{code: chat.Unstored(err), retry: time.Second}
	switch why.code {
	case chat.RoomsFull:
		why.retry, why.setting, why.seen, why.allowed = 10*time.Second, "rooms.max", s.cfg.Rooms.Max, s.cfg.Rooms.Max
		s.note(r, from, why)
	case chat.NotStored:
		why.retry = 30 * time.Second
	case chat.Internal:
		s.log.About(from.Network(), zerolog.ErrorLevel).Err(err).Msg("not stored")
	}
	writeError(w, why)
}

// poster returns the author of a posted message. The same name and address always have the same id.
func (s *Server) poster(r *http.Request, name string, from limit.Network) (hub.Author, bool) {
	id := uuid.NewHash(sha256.New(), s.namespace, fmt.Appendf(nil, "%d\x00%s", from, name), 8) // version 8 is for ids made with a hash of our choice
	if name == "" {
		n := int64(id[0])<<8 | int64(id[1])
		return hub.Author{ID: id.String(), Name: guestName(r.Header.Get("Accept-Language")) + strconv.FormatInt(n, 10)}, true
	}
	name, ok := chat.CleanName(name)
	return hub.Author{ID: id.String(), Name: name}, ok
}
