package config

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// maxPEM bounds the size of a certificate or key file in bytes. A chain of four certificates has about 6,000 bytes.
const maxPEM = mib

// Stat describes both files as they are now, the certificate first. The entry of a file that does not exist is nil.
func (t TLS) Stat() (files [2]os.FileInfo) {
	for i, name := range []string{t.Cert, t.Key} {
		files[i], _ = os.Stat(name)
	}
	return files
}

// Load reads the certificate and its key, and checks that a server can use them at the time now. The error names the setting, the file
// and what is wrong with it; it never contains bytes of a key. Leaf of the returned certificate is set.
func (t TLS) Load(now time.Time) (*tls.Certificate, error) {
	chain, err := readPEM("tls.cert", t.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readPEM("tls.key", t.Key)
	if err != nil {
		return nil, err
	}
	switch {
	case !chain.certificate && chain.key && key.certificate && !key.key:
		return nil, fmt.Errorf("tls.cert (%q) has a key and tls.key (%q) a certificate: they are swapped", t.Cert, t.Key)
	case !chain.certificate:
		return nil, fmt.Errorf("tls.cert (%q) has no certificate; want PEM with BEGIN CERTIFICATE", t.Cert)
	case key.encrypted:
		return nil, fmt.Errorf("tls.key (%q) is encrypted, and a server cannot ask for a password; want it decrypted (openssl pkey -in FILE)",
			t.Key)
	case !key.key:
		return nil, fmt.Errorf("tls.key (%q) has no private key; want PEM with BEGIN PRIVATE KEY", t.Key)
	}
	c, err := tls.X509KeyPair(chain.bytes, key.bytes)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, fmt.Errorf("tls.key (%q) is not the key of the first certificate in tls.cert (%q)", t.Key, t.Cert)
	case err != nil:
		return nil, fmt.Errorf("tls.cert (%q) and tls.key (%q) cannot be used: %w", t.Cert, t.Key, err)
	}
	const form = time.DateTime + " UTC"
	switch from, to := c.Leaf.NotBefore.UTC(), c.Leaf.NotAfter.UTC(); {
	case now.After(to):
		return nil, fmt.Errorf("tls.cert (%q) has expired: it ended %s, and it is %s", t.Cert, to.Format(form), now.UTC().Format(form))
	case now.Before(from):
		return nil, fmt.Errorf("tls.cert (%q) is not valid yet: it begins %s, and it is %s", t.Cert, from.Format(form), now.UTC().Format(form))
	}
	return &c, nil
}

// pemFile is the content of a file and the kinds of PEM blocks that it has.
type pemFile struct {
	bytes                       []byte
	certificate, key, encrypted bool
}

func readPEM(setting, name string) (pemFile, error) {
	b, err := readFile(name, maxPEM)
	unfit, isUnfit := errors.AsType[unfitError](err)
	switch {
	case isUnfit:
		return pemFile{}, fmt.Errorf("%s (%q): %w", setting, name, unfit)
	case errors.Is(err, os.ErrNotExist):
		return pemFile{}, fmt.Errorf("%s (%q): there is no such file", setting, name)
	case err != nil:
		return pemFile{}, fmt.Errorf("%s (%q): cannot read it as user %d: %w", setting, name, os.Getuid(), errors.Unwrap(err))
	}
	f := pemFile{bytes: b}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			f.certificate = true
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			f.key = true
			f.encrypted = f.encrypted || strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != ""
		}
	}
	return f, nil
}
