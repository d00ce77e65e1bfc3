package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/internal/config"
)

// An address that asks for pages and does not read them is refused more of them, and nobody else is.
func TestPagesUnread(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.MessagesPerSecond = 0 })
	for range 70 {
		e.exchange(post("/api/rooms/doyasa/messages", strings.Repeat(`"`, 4096)))
	}
	h := e.s.Handler()
	request := func(address string) *http.Request {
		r := httptest.NewRequest("GET", "/api/rooms/doyasa/messages?limit=200", nil)
		r.RemoteAddr = address
		return r
	}
	ask := func(address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(address))
		return w
	}
	const hoarder, other = "192.0.2.1:1", "192.0.2.2:1"
	page := ask(hoarder).Body.Len() - 1
	if page < 512<<10 {
		t.Fatalf("a page of %d bytes, want one that is large", page)
	}

	var answers sync.WaitGroup
	begun, read := make(chan struct{}), make(chan struct{})
	for range maxAnsweringAddress / page {
		answers.Go(func() {
			h.ServeHTTP(unread{httptest.NewRecorder(), begun, read}, request(hoarder))
		})
		<-begun
	}
	if w := ask(hoarder); w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"code":"busy"`) {
		t.Errorf("one more page: %d %.100q, want 503 busy", w.Code, w.Body)
	}
	if w := ask(other); w.Code != 200 {
		t.Errorf("a page for somebody else: %d %.100q, want 200", w.Code, w.Body)
	}
	close(read)
	answers.Wait()
	if w := ask(hoarder); w.Code != 200 {
		t.Errorf("a page once the others are read: %d %.100q, want 200", w.Code, w.Body)
	}
	if a := &e.s.answering; a.all != 0 || len(a.each) != 0 {
		t.Errorf("%d bytes of %d addresses are on their way, want none", a.all, len(a.each))
	}
}

// All addresses together have a bound as well, and one answer is always possible, however large.
func TestAnswering(t *testing.T) {
	var a answering
	if !a.begin(1, 2*maxAnswering) {
		t.Error("the first answer of all is refused")
	}
	a.end(1, 2*maxAnswering)
	for i := range maxAnswering / maxAnsweringAddress {
		if !a.begin(network(i), maxAnsweringAddress) {
			t.Fatalf("address %d is refused what it may have", i)
		}
		if a.begin(network(i), 1) {
			t.Errorf("address %d may have more than it may", i)
		}
	}
	if a.begin(100, 1) {
		t.Error("all together may have more than they may")
	}
}
