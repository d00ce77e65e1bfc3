package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/limit"
)

// An address that asks for pages and does not read them is refused further pages; other addresses are not.
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
	for range limit.MaxRepliesAddress / page {
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
	if bytes, addresses := e.s.replies.Held(); bytes != 0 || addresses != 0 {
		t.Errorf("%d bytes of %d addresses are on their way, want none", bytes, addresses)
	}
}
