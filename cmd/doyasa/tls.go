package main

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
)

// certificateEvery is the shortest time between two looks at the files for changes.
const certificateEvery = time.Second

// A certificate is the certificate in the configured files. It is read again when the files have changed. Any goroutine may call its
// methods.
type certificate struct {
	files config.TLS     // immutable
	log   zerolog.Logger // immutable

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	seen    [2]os.FileInfo   // guarded by mu: the state of the files when they were last read; nil for a file that did not exist
	next    time.Time        // guarded by mu: when to look at the files again
	looking bool             // guarded by mu: a handshake is looking at the files
}

// newCertificate returns a certificate that begins with the one that was read with the configuration.
func newCertificate(l *config.Loaded, log zerolog.Logger) *certificate {
	return &certificate{files: l.TLS, log: log, current: l.Certificate, seen: l.CertificateFiles}
}

// get is tls.Config's GetCertificate. The handshake that notices new files reads them; other handshakes use the current certificate
// meanwhile, so a slow disk holds up one of them and not all. If the new files cannot be used, for instance because only one of the two
// has been replaced yet, the certificate stays the same.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := time.Now()
	current, seen, look := c.claim(now)
	if !look {
		return current, nil
	}
	files := c.files.Stat() // before the read, so that a change during the read is noticed the next time
	if !same(files[0], seen[0]) || !same(files[1], seen[1]) {
		if fresh := c.read(now); fresh != nil {
			current = fresh
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.seen, c.looking = current, files, false
	return current, nil
}

// claim returns the current certificate, the state of its files, and whether the caller has to look for new files.
func (c *certificate) claim(now time.Time) (current *tls.Certificate, seen [2]os.FileInfo, look bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if look = !c.looking && !now.Before(c.next); look {
		c.looking, c.next = true, now.Add(certificateEvery)
	}
	return c.current, c.seen, look
}

// read returns the certificate in the files. If they cannot be used, it logs why and returns nil.
func (c *certificate) read(now time.Time) *tls.Certificate {
	fresh, err := c.files.Load(now)
	if err != nil {
		c.log.Warn().Err(err).Msg("the certificate has changed and cannot be used; the server goes on with the one before")
		return nil
	}
	c.log.Info().Time("until", fresh.Leaf.NotAfter).Msg("the certificate has been read again")
	return fresh
}

// same reports whether a and b describe the same file with the same content.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// config returns the TLS settings of a server that uses this certificate.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}
