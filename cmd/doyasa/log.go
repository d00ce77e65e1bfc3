package main

import (
	"bytes"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/doyasa/doyasa/internal/config"
)

// newLogger writes to w: lines for people where log.format says so or, with auto, where w is a terminal; else JSON, a line each.
func newLogger(w io.Writer, c config.Log) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return zerolog.Nop(), err
	}
	if f, ok := w.(*os.File); c.Format == "console" || c.Format == "auto" && ok && term.IsTerminal(int(f.Fd())) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !ok || !term.IsTerminal(int(f.Fd())), FormatMessage: plainMessage}
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

// plainMessage escapes what could move the cursor of a terminal; zerolog does so for fields, and in JSON, but not here. The lines of
// a stack are worth having.
func plainMessage(message any) string {
	text, _ := message.(string)
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// httpLog takes what net/http says about connections. Nearly all of it is peers breaking off or talking nonsense, which anyone
// can cause as often as they like, so it is worth a line only when debugging; panics and failing accepts are ours.
func httpLog(l zerolog.Logger) *log.Logger { return log.New(&httpLines{log: l}, "", 0) }

// acceptEvery is how often, at most, it is logged that no connection can be accepted: while descriptors are short, whoever comes and
// goes can cause it.
const acceptEvery = time.Second

// httpLines is written to by one goroutine at a time, as log.Logger sees to.
type httpLines struct {
	log  zerolog.Logger
	next time.Time // when the next failing accept is worth a line
}

func (h *httpLines) Write(p []byte) (int, error) {
	level := zerolog.DebugLevel
	switch {
	case bytes.HasPrefix(p, []byte("http: panic")):
		level = zerolog.ErrorLevel
	case bytes.HasPrefix(p, []byte("http: Accept error")):
		if now := time.Now(); !now.Before(h.next) {
			level, h.next = zerolog.ErrorLevel, now.Add(acceptEvery)
		}
	}
	h.log.WithLevel(level).Msg(string(bytes.TrimSpace(p)))
	return len(p), nil
}
