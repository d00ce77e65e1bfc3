package server

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/wsproto"
)

// A denial is why a request is not granted, for the client and, with more in it, for
// the log: what was seen, what is allowed, and the setting that says so.
type denial struct {
	status  int    // of HTTP
	reason  string // stable, for /metrics
	detail  string // what the client is told
	retry   time.Duration
	setting string // the key to change, if there is one
	seen    any
	allowed any
}

// note counts a refusal, and logs it for whoever wonders. The query is left out: it may
// hold a secret.
func (s *Server) note(r *http.Request, from requester, why *denial) {
	s.metrics.refusals.WithLabelValues(why.reason).Inc()
	level := zerolog.InfoLevel
	if why.status == http.StatusForbidden { // mostly a setting that is missing
		level = zerolog.WarnLevel
	}
	event := s.lines.event(&s.log, level, from.network()).
		Stringer("remote", from).Str("method", shown(r.Method)).Str("host", shown(r.Host)).Str("path", shown(r.URL.Path)).Int("status", why.status).Str("reason", why.reason)
	if why.setting != "" {
		event = event.Str("setting", why.setting).Any("seen", why.seen).Any("allowed", why.allowed)
	}
	event.Msg("refused: " + why.detail)
}

// refuse closes a session that cannot be a member, and logs why.
func (s *session) refuse(code wsproto.CloseCode, reason, setting, seen string, allowed int) {
	s.server.metrics.refusals.WithLabelValues(reason).Inc()
	event := s.event(zerolog.InfoLevel).Uint16("code", uint16(code)).Str("reason", reason).Str("seen", seen)
	if setting != "" {
		event = event.Str("setting", setting).Int("allowed", allowed)
	}
	event.Msg("refused behind the 101")
	s.close(code, reason, nil)
}

// event begins a line about this connection, or returns nil, on which every call does
// nothing.
func (s *session) event(level zerolog.Level) *zerolog.Event {
	return s.about(s.server.lines.event(&s.server.log, level, s.from().network()))
}

// line is event without the limit on lines about one address.
func (s *session) line(level zerolog.Level) *zerolog.Event {
	return s.about(s.server.log.WithLevel(level))
}

func (s *session) about(e *zerolog.Event) *zerolog.Event {
	if e == nil {
		return nil
	}
	return e.Stringer("remote", s.from()).Str("member", s.identified().ID).Str("room", s.room)
}

// refuse answers in HTTP and ends the connection, so that nothing behind the request is
// taken for another.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, from requester, why *denial) {
	s.note(r, from, why)
	h := w.Header()
	h["Connection"] = append([]string{"close"}, h["Connection"]...) // net/http looks at the first
	if why.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(why.retry.Seconds()))))
	}
	http.Error(w, why.detail, why.status)
}

// checkOrigin refuses pages of other sites, whose scripts would speak with their
// visitor's network position (RFC 6455 §10.2).
func (s *Server) checkOrigin(r *http.Request) *denial {
	origins := r.Header["Origin"]
	if len(origins) == 0 || len(origins) == 1 && s.originAllowed(origins[0], r.Host, r.TLS != nil) {
		return nil
	}
	return &denial{
		status:  http.StatusForbidden,
		reason:  "origin",
		setting: "public_url (the address people open), or allowed_origins",
		seen:    shown(strings.Join(origins, ", ")),
		allowed: append([]string{"that of the host"}, s.cfg.Origins()...),
		detail:  "this origin may not connect: its address must be the server's public_url or in allowed_origins",
	}
}
