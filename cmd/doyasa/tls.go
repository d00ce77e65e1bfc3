package main

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
)

// certificateEvery is how often, at most, a handshake looks whether the files have changed.
const certificateEvery = time.Second

// certificate is the one in the files of a configuration, whatever they are replaced by. Its methods may be called from any
// goroutine.
type certificate struct {
	files config.TLS     // immutable
	log   zerolog.Logger // immutable

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	seen    [2]os.FileInfo   // guarded by mu: of the files as they were last looked at; nil for one that was not there
	next    time.Time        // guarded by mu: when to look again
}

// newCertificate reads the files, which config has found to be in order.
func newCertificate(files config.TLS, log zerolog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log, next: time.Now().Add(certificateEvery)}
	c.seen = c.stat()
	var err error
	c.current, err = files.Load(time.Now())
	return c, err
}

// get is tls.Config's GetCertificate. New files are used from the next handshake on; while they are not in order, as in the moment
// between the one and the other being replaced, the certificate stays what it was.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		return c.current, nil
	}
	c.next = now.Add(certificateEvery)
	files := c.stat()
	if same(files[0], c.seen[0]) && same(files[1], c.seen[1]) {
		return c.current, nil
	}
	c.seen = files // before they are read: what changes meanwhile is seen the next time
	fresh, err := c.files.Load(now)
	if err != nil {
		c.log.Warn().Err(err).Msg("the certificate has changed and cannot be used; the one before stays")
		return c.current, nil
	}
	c.current = fresh
	c.log.Info().Time("until", fresh.Leaf.NotAfter).Msg("the certificate has been read again")
	return c.current, nil
}

func (c *certificate) stat() (files [2]os.FileInfo) {
	for i, name := range []string{c.files.Cert, c.files.Key} {
		files[i], _ = os.Stat(name)
	}
	return files
}

// same tells whether a file is as it was.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// config is what a server that shows this certificate needs.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}
