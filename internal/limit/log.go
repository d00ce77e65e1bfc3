package limit

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rs/zerolog"
)

// linesPerSecond is how many lines a second the server logs about one address at level info and above.
const linesPerSecond = 10

// A Log is a logger that limits the lines about each address to linesPerSecond. It may be used from any
// goroutine.
type Log struct {
	zerolog.Logger // immutable; lines that are written with this Logger are not limited

	mu      sync.Mutex
	sources map[Network]*source // guarded by mu: addresses that had a line within the last second
}

// source counts the lines about one address within a second. Guarded by Log.mu.
type source struct {
	written int
	omitted int
}

// NewLog returns a Log that writes to l.
func NewLog(l zerolog.Logger) *Log {
	return &Log{Logger: l, sources: make(map[Network]*source)}
}

// About begins a line about an address. It returns nil if the level is not logged or the address has used
// up its lines. All methods of a nil Event do nothing, so the caller need not check.
func (l *Log) About(from Network, level zerolog.Level) *zerolog.Event {
	if level < l.GetLevel() || level >= zerolog.InfoLevel && !l.allow(from) {
		return nil
	}
	return l.WithLevel(level)
}

// allow tells whether one more line about an address may be written. If lines were left out, one line says
// how many when the second is over.
func (l *Log) allow(from Network) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	src := l.sources[from]
	if src == nil {
		src = new(source)
		l.sources[from] = src
		time.AfterFunc(time.Second, func() { l.endSecond(from) })
	}
	if src.written == linesPerSecond-1 { // the last line is kept for saying how many lines were left out
		src.omitted++
		return false
	}
	src.written++
	return true
}

// endSecond forgets the lines about an address, and logs how many were left out.
func (l *Log) endSecond(from Network) {
	l.mu.Lock()
	omitted := l.sources[from].omitted
	delete(l.sources, from)
	l.mu.Unlock()
	if omitted > 0 {
		l.Info().Stringer("remote", from).Int("omitted", omitted).Msg("further lines about this address were left out within a second")
	}
}

// Shown returns a text that a peer has sent in a form that is safe in a log: short, on one line, and with
// all control characters of a terminal escaped.
func Shown(s string) string {
	const maxBytes = 200
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.QuoteToGraphic(s)
		s = s[1 : len(s)-1]
	}
	if len(s) > maxBytes {
		s = strings.ToValidUTF8(s[:maxBytes], "") + "…"
	}
	return s
}
