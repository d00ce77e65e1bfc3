package server

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rs/zerolog"
)

// linesPerSecond is how many lines one address can make us log at info and above.
const linesPerSecond = 10

// lines holds each address to linesPerSecond. It may be used from any goroutine.
type lines struct {
	log zerolog.Logger // immutable

	mu      sync.Mutex
	sources map[network]*source // guarded by mu: who had a line within the last second
}

// source is guarded by lines.mu.
type source struct {
	written int
	omitted int
}

func newLines(l zerolog.Logger) *lines {
	return &lines{log: l, sources: make(map[network]*source)}
}

// allow tells whether there may be one more line about an address. Once the second is
// over, one line says how many were left out.
func (l *lines) allow(from network) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	src := l.sources[from]
	if src == nil {
		src = new(source)
		l.sources[from] = src
		time.AfterFunc(time.Second, func() { l.close(from) })
	}
	if src.written == linesPerSecond-1 { // the last is for what is left out
		src.omitted++
		return false
	}
	src.written++
	return true
}

// close ends the second of an address.
func (l *lines) close(from network) {
	l.mu.Lock()
	omitted := l.sources[from].omitted
	delete(l.sources, from)
	l.mu.Unlock()
	if omitted > 0 {
		l.log.Info().Stringer("remote", from).Int("omitted", omitted).Msg("further lines about this address were left out within a second")
	}
}

// event begins a line about an address, or returns nil, on which every call does nothing.
func (l *lines) event(log *zerolog.Logger, level zerolog.Level, from network) *zerolog.Event {
	if level < log.GetLevel() || level >= zerolog.InfoLevel && !l.allow(from) {
		return nil
	}
	return log.WithLevel(level)
}

// shown is what a peer has sent as it may stand in a log: on one line, short, and with
// everything escaped that could move a terminal's cursor.
func shown(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.QuoteToGraphic(s)
		s = s[1 : len(s)-1]
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
