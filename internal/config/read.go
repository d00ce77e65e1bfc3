package config

import (
	"fmt"
	"io"
	"os"
	"time"
)

// readPatience bounds the time to read one file, because a pipe may wait for its writer, and a disk may hang.
const readPatience = 5 * time.Second

// An unfitError says that a file can be read, but is too long or does not end.
type unfitError string

func (e unfitError) Error() string { return string(e) }

// readFile reads a whole file of at most limit bytes. Unlike os.ReadFile it always returns, even if the file has no end, such as
// /dev/zero, or is a pipe that nobody writes to. A pipe with a writer, such as <(command) of a shell, is read like any file.
func readFile(name string, limit int) ([]byte, error) {
	type result struct {
		bytes []byte
		err   error
	}
	done := make(chan result, 1) // carries the outcome; the goroutine below sends once; never closed
	go func() {                  // after a timeout this goroutine runs until the read returns
		b, err := readUpTo(name, limit)
		done <- result{b, err}
	}()
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	select {
	case r := <-done:
		return r.bytes, r.err
	case <-patience.C:
		return nil, unfitError(fmt.Sprintf("did not end within %v; if it is a pipe, something must write to it and close it", readPatience))
	}
}

func readUpTo(name string, limit int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if len(b) > limit {
		return nil, unfitError(fmt.Sprintf("want at most %d bytes; this file has more", limit))
	}
	return b, err
}
