package limit

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// lockedBuffer is a log to read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// One address can make ten lines a second, the last of which says how many were left out. It takes no line from other
// addresses.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(lockedBuffer)
		log := zerolog.New(out)
		l := NewLog(log)
		count := func() int { return strings.Count(out.String(), "\n") }
		for range 1000 {
			l.About(1, zerolog.InfoLevel).Msg("flood")
		}
		l.About(2, zerolog.WarnLevel).Msg("another")
		if n := count(); n != 10 {
			t.Errorf("%d lines at once, want 9 of the flood and 1 of another address", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := count(); n != 11 || !strings.Contains(out.String(), `"omitted":991`) {
			t.Errorf("%d lines after a second, want one more that tells of 991:\n%s", n, out)
		}
		l.mu.Lock()
		if len(l.sources) != 0 {
			t.Errorf("%d addresses are remembered for nothing", len(l.sources))
		}
		l.mu.Unlock()
		l.About(1, zerolog.InfoLevel).Msg("later")
		if n := count(); n != 12 {
			t.Errorf("%d lines, want one more", n)
		}
		quiet := NewLog(log.Level(zerolog.ErrorLevel))
		for range 100 {
			quiet.About(3, zerolog.InfoLevel).Msg("not wanted")
		}
		quiet.mu.Lock()
		if quiet.sources[3] != nil {
			t.Error("what is not logged counts")
		}
		quiet.mu.Unlock()
		time.Sleep(time.Second)
	})
}

// Text of peers is escaped, short and on one line.
func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"どやさ /a":                 "どやさ /a",
		"a\r\n[ERROR] b":         `a\r\n[ERROR] b`,
		"\x1b[2J":                `\x1b[2J`,
		"\u009b2J":               `\u009b2J`,
		"a\u202eb":               `a\u202eb`,
		"\xff":                   "\uFFFD",
		`say "x"` + "\n":         `say \"x\"\n`,
		strings.Repeat("や", 100): strings.Repeat("や", 66) + "…",
	} {
		if got := Shown(in); got != want {
			t.Errorf("Shown(%q) = %q, want %q", in, got, want)
		}
	}
}
