package main

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	maxLogQueue = 1 << 20     // how many bytes of log lines may wait for the reader of the log
	logGrace    = time.Second // how long close waits until the queued lines are written
)

// A logQueue is an io.Writer that never waits for the reader of the log, which may stand still: a full pipe, a stopped terminal, a
// disk that hangs. Write puts a line into a queue, and one goroutine writes the queue to out. Lines that do not fit, and lines that out
// refuses because its reader is gone or its disk is full, are dropped and counted; the count is reported as soon as out takes bytes
// again. Write may be called from any goroutine.
type logQueue struct {
	out    io.Writer          // used by run alone
	report func(n int) []byte // immutable: makes the line that says that n lines were dropped

	ready   chan struct{} // capacity 1: something was queued or dropped; Write sends, never closed
	closing chan struct{} // carries nothing; close closes it
	done    chan struct{} // carries nothing; run closes it when it returns

	mu      sync.Mutex
	queued  []byte // guarded by mu: whole lines
	dropped int    // guarded by mu: lines that came after those in queued

	// Owned by run.
	lost int  // how many lines were dropped or refused by out and are not reported yet
	torn bool // out took only a part of the last line
}

// newLogQueue starts the goroutine that writes to out. It ends after close.
func newLogQueue(out io.Writer, report func(n int) []byte) *logQueue {
	q := &logQueue{out: out, report: report, ready: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a line. It never returns an error, because zerolog would print the error to stderr, which may have the same blocked reader.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if q.dropped > 0 || len(q.queued)+len(line) > maxLogQueue { // once a line is dropped, the next line may not overtake the report
		q.dropped += lines(line)
	} else {
		q.queued = append(q.queued, line...)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return len(line), nil
}

// close ends run and waits until all queued lines are written, but not longer than logGrace. Lines that come later are lost.
func (q *logQueue) close() {
	close(q.closing)
	grace := time.NewTimer(logGrace)
	defer grace.Stop()
	select {
	case <-q.done:
	case <-grace.C:
	}
}

func (q *logQueue) run() {
	defer close(q.done)
	for {
		select {
		case <-q.ready:
			q.flush()
		case <-q.closing:
			q.flush()
			return
		}
	}
}

// flush writes the queued lines. Before and after them it reports how many lines are missing there.
func (q *logQueue) flush() {
	q.mu.Lock()
	queued, dropped := q.queued, q.dropped
	q.queued, q.dropped = nil, 0
	q.mu.Unlock()
	q.tellLost()
	if n, err := q.put(queued); err != nil {
		q.lost += lines(queued[n:])
	}
	q.lost += dropped
	q.tellLost()
}

// tellLost reports the missing lines. While out refuses the report as well, they stay counted.
func (q *logQueue) tellLost() {
	if q.lost == 0 {
		return
	}
	if _, err := q.put(q.report(q.lost)); err == nil {
		q.lost = 0
	}
}

// put writes whole lines to out, on a new line if the last line was cut off, and returns how many bytes of text out took.
func (q *logQueue) put(text []byte) (n int, err error) {
	if q.torn {
		if _, err := q.out.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		q.torn = false
	}
	if len(text) == 0 {
		return 0, nil
	}
	n, err = q.out.Write(text)
	if n > 0 {
		q.torn = text[n-1] != '\n'
	}
	return n, err
}

// lines counts the line ends in text.
func lines(text []byte) int { return bytes.Count(text, []byte{'\n'}) }
