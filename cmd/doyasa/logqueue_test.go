package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is an io.Writer whose reader can stand still, refuse bytes, or take only some of them.
type reader struct {
	mu     sync.Mutex
	text   bytes.Buffer  // guarded by mu: what was taken
	still  chan struct{} // guarded by mu: closed when the reader goes on; nil while it reads
	refuse bool          // guarded by mu: nothing is taken
	space  int           // guarded by mu: bytes that are taken before an error; -1: no limit
}

var errRefused = errors.New("refused")

func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	still := r.still
	r.mu.Unlock()
	if still != nil {
		<-still
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return 0, errRefused
	}
	if r.space >= 0 && len(b) > r.space {
		n := r.space
		r.text.Write(b[:n])
		r.space = 0
		return n, errRefused
	}
	return r.text.Write(b)
}

func (r *reader) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// taken returns what the reader has read since the last call.
func (r *reader) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return r.text.String()
}

func reportDropped(n int) []byte { return fmt.Appendf(nil, "%d dropped\n", n) }

// The log of a reader that stands still: nobody waits, the first lines are kept, the rest is counted, and the count is told at its place.
func TestLogQueueOfAStillReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		still := make(chan struct{})
		r := &reader{still: still, space: -1}
		q := newLogQueue(r, reportDropped)
		q.Write([]byte("first\n"))
		synctest.Wait()                                 // run hangs in Write with it
		line := []byte(strings.Repeat("x", 999) + "\n") // does not divide the queue: a short line would still fit
		for range 1500 {
			q.Write(line)
		}
		q.Write([]byte("short, but later than a dropped line\n"))
		if got := len(q.queued); got > maxLogQueue {
			t.Errorf("%d bytes wait, want at most %d", got, maxLogQueue)
		}
		r.set(func() { r.still = nil })
		close(still)
		synctest.Wait()
		q.Write([]byte("last\n"))
		synctest.Wait()
		got := r.taken()
		if want := "first\n" + strings.Repeat(string(line), 1048) + "453 dropped\nlast\n"; got != want {
			t.Errorf("the reader gets %d bytes that end in %q, want %d that end in %q", len(got), got[max(0, len(got)-60):], len(want), want[len(want)-60:])
		}
		q.close()
	})
}

// What is queued at the end is written, but a reader that stands still gets no more than a second.
func TestLogQueueCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		still := make(chan struct{})
		r := &reader{still: still, space: -1}
		q := newLogQueue(r, reportDropped)
		q.Write([]byte("a\n"))
		synctest.Wait()
		q.Write([]byte("b\n"))
		began := time.Now()
		time.AfterFunc(logGrace/2, func() { close(still) })
		q.close()
		if got, took := r.taken(), time.Since(began); got != "a\nb\n" || took != logGrace/2 {
			t.Errorf("after %v the reader has %q, want both lines as soon as it reads", took, got)
		}
		q = newLogQueue(&reader{still: make(chan struct{}), space: -1}, reportDropped)
		q.close()
		never := make(chan struct{})
		defer close(never)
		q = newLogQueue(&reader{still: never, space: -1}, reportDropped)
		q.Write([]byte("a\n"))
		began = time.Now()
		q.close()
		if took := time.Since(began); took != logGrace {
			t.Errorf("close of a log whose reader stands still takes %v, want %v", took, logGrace)
		}
		q.Write([]byte("after the end\n")) // a goroutine that is still running may log
	})
}

// A reader that is gone or full gets what comes later, after the number of the lines that are missing, and on a line of its own.
func TestLogQueueRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{space: -1}
		q := newLogQueue(r, reportDropped)
		say := func(line string) {
			q.Write([]byte(line + "\n"))
			synctest.Wait()
		}
		r.set(func() { r.refuse = true })
		say("lost")
		say("lost")
		r.set(func() { r.refuse = false })
		say("read")
		if got, want := r.taken(), "2 dropped\nread\n"; got != want {
			t.Errorf("after it was gone the reader gets %q, want %q", got, want)
		}
		r.set(func() { r.space = 3 })
		say("torn")
		r.set(func() { r.space = -1 })
		say("whole")
		if got, want := r.taken(), "tor\n1 dropped\nwhole\n"; got != want {
			t.Errorf("after it was full the reader gets %q, want %q", got, want)
		}
		q.close()
	})
}
