package loop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/internal/conntest"
)

// startTLS is start over TLS, after the handshake.
func startTLS(t *testing.T, l *Portable, capacity int) (*recorder, *tls.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := conntest.Pair(capacity)
	peer := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	nc := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	shaken := make(chan error) // the result of the client's handshake; its goroutine sends it once, never closed
	go func() { shaken <- peer.Handshake() }()
	if err := nc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return serve(t, l, nc, ""), peer
}

// A peer over TLS that reads nothing for longer than a tick loses nothing. To interrupt the write
// would make the connection unusable.
func TestTLSReaderThatPauses(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, peer := startTLS(t, l, 2<<10)
		text := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
		r.send(string(text))
		var got []byte
		for buf := make([]byte, 10_000); len(got) < len(text); {
			time.Sleep(700 * time.Millisecond)
			n, err := peer.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
		}
		if !bytes.Equal(got, text) {
			t.Errorf("%d bytes that are not those sent", len(got))
		}
		io.WriteString(peer, "hi")
		synctest.Wait()
		r.set(func() { r.end = io.EOF })
		if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the last byte %d, %v, want close_notify and with it EOF", n, err)
		}
		peer.Close()
		<-r.gone
		if err, _ := r.ended(); err != nil || string(r.fed) != "hi" {
			t.Errorf("closed with %v, fed %q, want nil and hi", err, r.fed)
		}
	})
}

// A peer over TLS that reads nothing at all is ended as slow, and the others are ticked meanwhile.
func TestTLSReaderThatStops(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *Portable) {
		r, _ := startTLS(t, l, 2<<10)
		other, peer := start(t, l, 2<<10, "")
		r.send(string(make([]byte, 100_000)))
		began := time.Now()
		<-r.gone
		if err, _ := r.ended(); err != ErrSlow || time.Since(began) < 5*time.Second || time.Since(began) > 5500*time.Millisecond {
			t.Errorf("closed with %v after %v, want ErrSlow after 5 s", err, time.Since(began))
		}
		synctest.Wait()
		other.send("hi")
		expect(t, peer, "hi")
	})
}
