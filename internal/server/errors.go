package server

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/limit"
)

// A refusal is the reason why a request is refused. A part of it is for the client. The log also has the
// setting that was reached, the value that was seen and the value that is allowed.
type refusal struct {
	code    *chat.Code
	status  int           // 0: the default status of the code
	text    string        // "": the default text of the code
	retry   time.Duration // 0: the client is not told when to try again
	setting string        // the key of the setting to change; "" if there is none
	seen    any
	allowed any
}

func (why *refusal) usedStatus() int {
	if why.status != 0 {
		return why.status
	}
	return why.code.Status[0]
}

func (why *refusal) usedText() string {
	if why.text != "" {
		return why.text
	}
	return why.code.Text
}

// errorBody is the body of every error over HTTP.
type errorBody struct {
	Code       string `json:"code"`
	Text       string `json:"text"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
}

// writeError answers a request with an error.
func writeError(w http.ResponseWriter, why *refusal) {
	if why.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(why.retry.Seconds()))))
	}
	writeJSON(w, why.usedStatus(), chat.EncodeJSON(errorBody{why.code.Name, why.usedText(), chat.Millis(why.retry)}))
}

// writeCode answers with an error that has the default status and text of its code.
func writeCode(w http.ResponseWriter, code *chat.Code) { writeError(w, &refusal{code: code}) }

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// refuse logs a refusal, answers with it and ends the connection. Otherwise the bytes after the request would
// be read as another request.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, from limit.Peer, why *refusal) {
	s.note(r, from, why)
	h := w.Header()
	h["Connection"] = append([]string{"close"}, h["Connection"]...) // net/http looks at the first field only
	writeError(w, why)
}

// note counts a refusal and logs it for operators. The query is left out: it may hold a secret.
func (s *Server) note(r *http.Request, from limit.Peer, why *refusal) {
	s.metrics.refusals.WithLabelValues(why.code.Name).Inc()
	level := zerolog.InfoLevel
	if why.code == chat.Origin { // log it for operators, because the usual cause is a missing setting
		level = zerolog.WarnLevel
	}
	event := s.log.About(from.Network(), level).
		Stringer("remote", from).Str("method", limit.Shown(r.Method)).Str("host", limit.Shown(r.Host)).
		Str("path", limit.Shown(r.URL.Path)).Int("status", why.usedStatus()).Str("reason", why.code.Name)
	if why.setting != "" {
		event = event.Str("setting", why.setting).Any("seen", why.seen).Any("allowed", why.allowed)
	}
	event.Msg("refused: " + why.usedText())
}

// checkOrigin refuses requests from pages of other sites. A script of such a page would use the network
// access of the visitor (RFC 6455 §10.2).
func (s *Server) checkOrigin(r *http.Request) *refusal {
	origins := r.Header["Origin"]
	if len(origins) == 0 || len(origins) == 1 && s.originAllowed(origins[0], r.Host, r.TLS != nil) {
		return nil
	}
	return &refusal{
		code:    chat.Origin,
		setting: "public_url (the address people open), or allowed_origins",
		seen:    limit.Shown(strings.Join(origins, ", ")),
		allowed: append([]string{"that of the host"}, s.cfg.Origins()...),
	}
}
