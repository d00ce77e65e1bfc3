package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writeCertificate replaces the files of a certificate, one after the other, as its tools do.
func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if path == "" {
			continue
		}
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// dialTLS makes a handshake that offers HTTP/2 first, as browsers do.
func dialTLS(t *testing.T, address string) *tls.Conn {
	t.Helper()
	nc, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// A page and a WebSocket over TLS; new files are taken up without a restart, bad ones are not, and connections stay.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	p := start(t, "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	ready := p.logged("doyasa is ready")
	address := ready["address"].(string)
	if message := ready["message"].(string); !strings.Contains(message, "open https://localhost:") {
		t.Errorf("%q, want an https address", message)
	}
	if status, stdout, stderr := call(nil, "healthcheck", "--listen", address, "--tls-cert", cert, "--tls-key", key); status != 0 {
		t.Errorf("healthcheck: %d, %s%s", status, stdout, stderr)
	}
	nc := dialTLS(t, address)
	if got := nc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("of h2 and http/1.1 %q was chosen, want http/1.1: a WebSocket needs it", got)
	}
	host := strings.Replace(address, "127.0.0.1", "localhost", 1)
	io.WriteString(nc, "GET /websocket HTTP/1.1\r\nHost: "+host+"\r\nOrigin: https://"+host+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x82\x00\x00\x00\x00hi")
	b := bufio.NewReader(nc)
	echo := func(when string) {
		t.Helper()
		got := make([]byte, 4)
		if _, err := io.ReadFull(b, got); err != nil || string(got) != "\x81\x02hi" {
			t.Fatalf("%s: %q, %v, want the echo", when, got, err)
		}
	}
	if r, err := http.ReadResponse(b, nil); err != nil || r.StatusCode != 101 {
		t.Fatalf("%v, %v, want 101", r, err)
	}
	echo("over TLS")

	shows := func() int64 {
		nc := dialTLS(t, address)
		defer nc.Close()
		return nc.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	await := func(serial int64) {
		t.Helper()
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for deadline := time.Now().Add(patience); shows() != serial; <-again.C {
			if time.Now().After(deadline) {
				t.Fatalf("the certificate is not number %d within %v", serial, patience)
			}
		}
	}
	writeCertificate(t, cert, key, 2)
	await(2)
	writeCertificate(t, cert, "", 3) // without its key
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for warned := false; !warned; {
		select {
		case line, ok := <-p.lines:
			p.seen = append(p.seen, line)
			if warned = strings.Contains(line, "cannot be used; the server goes on with the one before"); !ok {
				t.Fatalf("ended without a warning; log:\n%s", strings.Join(p.seen, "\n"))
			}
		case <-again.C:
			if got := shows(); got != 2 {
				t.Fatalf("a certificate without its key: number %d is shown, want 2", got)
			}
		}
	}
	writeCertificate(t, cert, key, 4)
	await(4)
	io.WriteString(nc, "\x81\x82\x00\x00\x00\x00hi")
	echo("after three changes")
	if r, err := http.Get("http://" + address); err != nil || r.StatusCode != 400 {
		t.Errorf("plain HTTP: %v, %v, want 400", r, err)
	}
	p.signal(syscall.SIGTERM)
	rest, err := io.ReadAll(b)
	if err != nil || !strings.HasSuffix(string(rest), "\x88\x09\x03\xf4restart") {
		t.Errorf("at the end %q, %v, want Close 1012 and close_notify", rest, err)
	}
	nc.Close()
	if status, log := p.wait(); status != 0 || strings.Contains(log, "PRIVATE KEY") {
		t.Errorf("after SIGTERM: status %d, log\n%s", status, log)
	}
}
