package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair writes a certificate and its key and returns the paths.
func pair(t *testing.T, dir, name string, from, to time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, b []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write(name+".pem", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", pkcs8)
}

// C14: what is wrong with the files is said in one line, with no byte of a key in it.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := pair(t, dir, "good", now.Add(-time.Hour), now.Add(90*day))
	_, otherKey := pair(t, dir, "other", now.Add(-time.Hour), now.Add(90*day))
	expired, expiredKey := pair(t, dir, "expired", now.Add(-48*time.Hour), now.Add(-time.Hour))
	early, earlyKey := pair(t, dir, "early", now.Add(time.Hour), now.Add(48*time.Hour))
	encrypted := write("encrypted.key", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")})))
	old := write("old.key", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n")
	empty, text := write("empty", ""), write("text", "どやさ")
	broken := write("broken.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no DER")})))
	both, _ := os.ReadFile(cert)
	keyBytes, _ := os.ReadFile(key)
	one := write("one.pem", string(both)+string(keyBytes))
	form := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	for _, row := range []struct{ name, cert, key, want string }{
		{"good", cert, key, ""},
		{"both in one file", one, one, ""},
		{"C14 key for another certificate", cert, otherKey, fmt.Sprintf("tls.key (%q) is not the key of the first certificate in tls.cert (%q)", otherKey, cert)},
		{"C14 swapped", key, cert, fmt.Sprintf("tls.cert (%q) has a key and tls.key (%q) a certificate: they are swapped", key, cert)},
		{"C14 encrypted", cert, encrypted, fmt.Sprintf("tls.key (%q) is encrypted", encrypted)},
		{"C14 encrypted the old way", cert, old, fmt.Sprintf("tls.key (%q) is encrypted", old)},
		{"C14 expired", expired, expiredKey, fmt.Sprintf("tls.cert (%q) has expired: it ended %s UTC, and it is %s UTC", expired, form(now.Add(-time.Hour)), form(now))},
		{"not valid yet", early, earlyKey, fmt.Sprintf("tls.cert (%q) is not valid yet: it begins %s UTC", early, form(now.Add(time.Hour)))},
		{"no file", filepath.Join(dir, "gone"), key, `gone"): there is no such file`},
		{"no key file", cert, filepath.Join(dir, "gone"), `gone"): there is no such file`},
		{"a folder", dir, key, "tls.cert (" + fmt.Sprintf("%q", dir) + "): cannot read it as user"},
		{"empty", empty, key, "has no certificate; want PEM with BEGIN CERTIFICATE"},
		{"empty key", cert, empty, "has no private key; want PEM with BEGIN PRIVATE KEY"},
		{"text", text, key, "has no certificate"},
		{"the certificate twice", cert, cert, "has no private key"},
		{"broken", broken, key, "cannot be used: x509: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := TLS{row.cert, row.key}.Load(now)
			if row.want == "" {
				if err != nil || c.Leaf.DNSNames[0] != "good" {
					t.Errorf("Load = %v, %v, want the good one", c, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("Load fails with\n%v\nwant\n%s", err, row.want)
			}
			for line := range bytes.Lines(keyBytes) {
				if len(line) > 20 && !bytes.HasPrefix(line, []byte("-")) && strings.Contains(err.Error(), strings.TrimSpace(string(line))) {
					t.Errorf("%v shows the key", err)
				}
			}
			if _, err := load(t, "", nil, map[string]string{"tls.cert": row.cert, "tls.key": row.key}); err == nil || !strings.Contains(err.Error(), "tls.") {
				t.Errorf("config check says %v, want what is wrong with the files", err)
			}
		})
	}
	for flag, want := range map[string]string{
		"tls.cert": `tls.key ("", the default) must be set with tls.cert (` + fmt.Sprintf("%q", cert) + `, --tls-cert)`,
		"tls.key":  `tls.cert ("", the default) must be set with tls.key (` + fmt.Sprintf("%q", cert) + `, --tls-key)`,
	} {
		if _, err := load(t, "", nil, map[string]string{flag: cert}); err == nil || err.Error() != want {
			t.Errorf("%s alone: %v, want %s", flag, err, want)
		}
	}
	short, shortKey := pair(t, dir, "short", now.Add(-time.Hour), now.Add(day))
	l, err := load(t, "listen: ':1'\n", nil, map[string]string{"tls.cert": short, "tls.key": shortKey})
	if err != nil || len(l.Notices) != 1 || !strings.Contains(l.Notices[0], "ends "+form(now.Add(day))) {
		t.Errorf("a certificate that ends tomorrow: %v, %v, want a notice", l, err)
	}
}
