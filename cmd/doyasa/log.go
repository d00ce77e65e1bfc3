package main

import (
	"bytes"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/doyasa/doyasa/internal/config"
)

// newLogger returns a logger that writes to w and never waits for w, and a function that must be called after the last line. If log.format
// is console, or is auto and w is a terminal, the lines are text for people. Otherwise each line is a JSON object.
func newLogger(w io.Writer, c config.Log) (log zerolog.Logger, end func(), err error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return zerolog.Nop(), nil, err
	}
	f, ok := w.(*os.File)
	terminal := ok && term.IsTerminal(int(f.Fd()))
	to := func(w io.Writer) zerolog.Logger {
		if c.Format == "console" || c.Format == "auto" && terminal {
			w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !terminal, FormatMessage: plainMessage}
		}
		return zerolog.New(w).With().Timestamp().Logger()
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	queue := newLogQueue(w, func(n int) []byte {
		var line bytes.Buffer
		dropped := to(&line)
		dropped.Warn().Int("lines", n).Msg("lines of this log were dropped: whatever reads the log was too slow, or did not read at all")
		return line.Bytes()
	})
	return to(queue).Level(level), queue.close, nil
}

// plainMessage escapes characters that could move the cursor of a terminal. zerolog does that for fields, and for messages in JSON, but
// not for messages on the console. Line ends stay, because stacks are printed as messages.
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

// httpLog returns the log for net/http. Nearly all lines of net/http are about clients that disconnect or send nonsense. Anyone can cause
// such lines as often as they like, so they have the level debug. Only a panic, which is a fault of this program, has the level error.
func httpLog(l zerolog.Logger) *log.Logger { return log.New(httpLines{l}, "", 0) }

type httpLines struct{ log zerolog.Logger }

func (h httpLines) Write(p []byte) (int, error) {
	level := zerolog.DebugLevel
	if bytes.HasPrefix(p, []byte("http: panic")) {
		level = zerolog.ErrorLevel
	}
	h.log.WithLevel(level).Msg(string(bytes.TrimSpace(p)))
	return len(p), nil
}
