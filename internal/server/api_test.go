package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
)

const someID = "0199a8e2-0000-7000-8000-000000000001"

// post is a request that posts a body and closes its connection.
func post(target, body string, header ...string) string {
	lines := append([]string{"POST " + target + " HTTP/1.1", "Host: chat.example", "Connection: close", fmt.Sprint("Content-Length: ", len(body))}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// chunked is a request with a chunked body, which is given encoded.
func chunked(target, chunks string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
}

func get(target string, header ...string) string {
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: chat.example", "Connection: close"}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestPostErrors(t *testing.T) {
	e := newEdge(t, func(c *config.Config) {
		c.Limits.TextBytes = 10
		c.Limits.MessagesPerSecond = 0
	})
	const path = "/api/rooms/doyasa/messages"
	tests := []struct {
		name, request string
		status        int
		code          string
	}{
		{"a message", post(path, "どやさ"), 200, ""},
		{"line ends and tabs", post(path, "a\n\tb"), 200, ""},
		{"exactly as long as may be", post(path, "0123456789"), 200, ""},
		{"one byte more", post(path, "01234567890"), 413, "text_too_long"},
		{"far more", post(path, strings.Repeat("x", 1<<20)), 413, "text_too_long"},
		{"nothing", post(path, ""), 400, "text_empty"},
		{"spaces", post(path, " \n "), 400, "text_empty"},
		{"a filler", post(path, "\u3164"), 400, "text_empty"},
		{"zero-width and spaces", post(path, "\u200b \u3000\n"), 400, "text_empty"},
		{"a heart", post(path, "❤\ufe0f"), 200, ""},
		{"control character", post(path, "a\x1b[2J"), 400, "bad_text"},
		{"not UTF-8", post(path, "\xff"), 400, "bad_text"},
		{"key", post(path, "x", "Idempotency-Key: "+someID), 200, ""},
		{"key that is no UUID", post(path, "x", "Idempotency-Key: 1"), 400, "bad_id"},
		{"key in another form", post(path, "x", "Idempotency-Key: {"+someID+"}"), 400, "bad_id"},
		{"key of zeros", post(path, "x", "Idempotency-Key: 00000000-0000-0000-0000-000000000000"), 400, "bad_id"},
		{"key in quotes", post(path, "x", `Idempotency-Key: "`+someID+`"`), 200, ""},
		{"key in quotes, in capitals", post(path, "x", `Idempotency-Key: "`+strings.ToUpper(someID)+`"`), 200, ""},
		{"key with one quote", post(path, "x", `Idempotency-Key: "`+someID), 400, "bad_id"},
		{"key with one quote behind", post(path, "x", "Idempotency-Key: "+someID+`"`), 400, "bad_id"},
		{"key in two pairs of quotes", post(path, "x", `Idempotency-Key: ""`+someID+`""`), 400, "bad_id"},
		{"key in other quotes", post(path, "x", "Idempotency-Key: '"+someID+"'"), 400, "bad_id"},
		{"weak key", post(path, "x", `Idempotency-Key: W/"`+someID+`"`), 400, "bad_id"},
		{"quotes with a space", post(path, "x", `Idempotency-Key: " `+someID+`"`), 400, "bad_id"},
		{"quotes and nothing", post(path, "x", `Idempotency-Key: ""`), 400, "bad_id"},
		{"one quote and nothing", post(path, "x", `Idempotency-Key: "`), 400, "bad_id"},
		{"two keys in quotes", post(path, "x", `Idempotency-Key: "`+someID+`"`, `Idempotency-Key: "`+someID+`"`), 400, "bad_id"},
		{"two keys", post(path, "x", "Idempotency-Key: "+someID, "Idempotency-Key: 1"), 400, "bad_id"},
		{"chunks that are none", chunked(path, "zz\r\nhi\r\n0\r\n\r\n"), 400, "bad_text"},
		{"a trailer too large", chunked(path, "2\r\nhi\r\n0\r\n"+strings.Repeat("X: y\r\n", 20_000)+"\r\n"), 400, "bad_text"},
		{"room", post("/api/rooms/a%20b/messages", "x"), 400, "bad_room"},
		{"room with a slash", post("/api/rooms/a%2Fb/messages", "x"), 400, "bad_room"},
		{"name", post(path+"?name=%E2%80%8B", "x"), 400, "bad_name"},
		{"other site", post(path, "x", "Origin: https://evil.example"), 403, "origin"},
		{"own page", post(path, "x", "Origin: http://chat.example"), 200, ""},
		{"PUT", strings.Replace(post(path, "x"), "POST", "PUT", 1), 405, "bad_method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _, body := e.exchange(tt.request)
			var got errorBody
			json.Unmarshal([]byte(body), &got)
			if r.StatusCode != tt.status || got.Code != tt.code || tt.code != "" && got.Text == "" {
				t.Errorf("%d %s, want %d with code %q", r.StatusCode, body, tt.status, tt.code)
			}
			if tt.code != "" && (r.Header.Get("Content-Type") != "application/json; charset=utf-8" || r.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("header %v", r.Header)
			}
		})
	}
}

func TestPostRate(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.MessagesPerSecond, c.Limits.Burst = 1, 2 })
	const path = "/api/rooms/doyasa/messages"
	for i, want := range []int{400, 200, 200, 429} { // a refused post takes no token
		body := "x"
		if i == 0 {
			body = ""
		}
		r, _, got := e.exchange(post(path, body))
		if r.StatusCode != want {
			t.Fatalf("post %d: %d %s, want %d", i, r.StatusCode, got, want)
		}
		if want == 429 && (r.Header.Get("Retry-After") != "1" || !strings.Contains(got, `"code":"rate_limited"`) || !strings.Contains(got, `"retry_after_ms":`)) {
			t.Errorf("Retry-After %q, %s, want 1 and the milliseconds", r.Header.Get("Retry-After"), got)
		}
	}
}

// A retry gets the answer of the first post and is stored once, in whatever form it writes the key; without a key each post is a message.
func TestPostIdempotent(t *testing.T) {
	e := newEdge(t, nil)
	var first chat.MessageFrame
	for i, key := range []string{strings.ToUpper(someID), someID, `"` + someID + `"`, `"` + strings.ToUpper(someID) + `"`, strings.ToUpper(someID)} {
		_, _, body := e.exchange(post("/api/rooms/doyasa/messages?name=A", "x", "Idempotency-Key: "+key))
		var got chat.MessageFrame
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if i == 0 {
			first = got
		}
		if got != first || got.ID != someID || got.Seq != 1 {
			t.Errorf("try %d: %+v, want %+v with seq 1", i, got, first)
		}
	}
	e.exchange(post("/api/rooms/doyasa/messages", "y"))
	_, _, body := e.exchange(get("/api/rooms/doyasa/messages"))
	var page historyBody
	if json.Unmarshal([]byte(body), &page); len(page.Messages) != 2 || page.Last != 2 {
		t.Errorf("history %s, want 2 messages", body)
	}
}

// A client that posts without a name is the same guest each time, named in its language.
func TestPosterNames(t *testing.T) {
	e := newEdge(t, nil)
	ask := func(query string, header ...string) chat.FromField {
		_, _, body := e.exchange(post("/api/rooms/doyasa/messages"+query, "x", header...))
		var got chat.MessageFrame
		json.Unmarshal([]byte(body), &got)
		return got.From
	}
	one, two := ask(""), ask("")
	if one != two || !strings.HasPrefix(one.Name, "ゲスト") || one.ID == "" {
		t.Errorf("%+v then %+v, want one guest", one, two)
	}
	if en := ask("", "Accept-Language: en-US,en;q=0.9"); en.ID != one.ID || !strings.HasPrefix(en.Name, "Guest ") {
		t.Errorf("%+v, want the same as Guest", en)
	}
	if a, b := ask("?name=A"), ask("?name=B"); a.Name != "A" || b.Name != "B" || a.ID == b.ID || a.ID == one.ID {
		t.Errorf("%+v and %+v, want two people", a, b)
	}
}

// The server waits for a body no longer than for a handshake.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &play{t: t, config: config.Default(), buffer: 1 << 16, clients: map[string]*client{}}
		p.open()
		defer p.end()
		nc, err := p.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		began := time.Now()
		io.WriteString(nc, "POST /api/rooms/doyasa/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || r.StatusCode != http.StatusRequestTimeout || !r.Close || time.Since(began) != 5*time.Second {
			t.Errorf("%v, %v after %v, want 408 and Connection: close after 5 s", r, err, time.Since(began))
		}
	})
}

func TestGetMessages(t *testing.T) {
	e := newEdge(t, func(c *config.Config) {
		c.Limits.MessagesPerSecond = 0
		c.History.Messages = 300
	})
	const path = "/api/rooms/doyasa/messages"
	for i := range 310 {
		if r, _, body := e.exchange(post(path, fmt.Sprint(i+1))); r.StatusCode != 200 {
			t.Fatal(body)
		}
	}
	tests := []struct {
		query       string
		first, last int // of the page; 0: empty
		code        string
	}{
		{"", 261, 310, ""},
		{"?limit=3", 308, 310, ""},
		{"?limit=200", 111, 310, ""},
		{"?limit=201", 111, 310, ""},
		{"?limit=1000000000", 111, 310, ""},
		{"?limit=99999999999999999999", 111, 310, ""},
		{"?limit=-99999999999999999999", 310, 310, ""},
		{"?limit=0", 310, 310, ""},
		{"?limit=-1", 310, 310, ""},
		{"?after=0&limit=2", 11, 12, ""},
		{"?after=100&limit=2", 101, 102, ""},
		{"?after=309", 310, 310, ""},
		{"?after=310", 0, 0, ""},
		{"?after=9007199254740991", 0, 0, ""},
		{"?before=100&limit=2", 98, 99, ""},
		{"?before=11", 0, 0, ""},
		{"?before=12", 11, 11, ""},
		{"?after=20&before=23", 21, 22, ""},
		{"?after=20&before=230&limit=2", 21, 22, ""},
		{"?after=23&before=20", 0, 0, ""},
		{"?limit=x", 0, 0, "bad_limit"},
		{"?limit=", 0, 0, "bad_limit"},
		{"?limit=1.5", 0, 0, "bad_limit"},
		{"?after=-1", 0, 0, "bad_after"},
		{"?after=", 0, 0, "bad_after"},
		{"?after=9007199254740992", 0, 0, "bad_after"},
		{"?before=0", 0, 0, "bad_before"},
		{"?before=x", 0, 0, "bad_before"},
	}
	for _, tt := range tests {
		r, _, body := e.exchange(get(path + tt.query))
		if tt.code != "" {
			if r.StatusCode != 400 || !strings.Contains(body, `"code":"`+tt.code+`"`) {
				t.Errorf("GET %s: %d %s, want 400 %s", tt.query, r.StatusCode, body, tt.code)
			}
			continue
		}
		var page historyBody
		if err := json.Unmarshal([]byte(body), &page); err != nil || r.StatusCode != 200 {
			t.Fatalf("GET %s: %d %s", tt.query, r.StatusCode, body)
		}
		first, last := 0, 0
		for i, m := range page.Messages {
			if last = int(m.Seq); i == 0 {
				first = last
			}
			if m.Text != fmt.Sprint(m.Seq) || m.Prev != m.Seq-1 || int(m.Seq) != first+i {
				t.Errorf("GET %s: %+v at %d", tt.query, m, i)
			}
		}
		if first != tt.first || last != tt.last || page.First != 11 || page.Last != 310 || page.Epoch == "" {
			t.Errorf("GET %s: %d to %d of %d to %d, want %d to %d of 11 to 310", tt.query, first, last, page.First, page.Last, tt.first, tt.last)
		}
	}
	if r, _, body := e.exchange(get("/api/rooms/a.b/messages")); r.StatusCode != 400 || !strings.Contains(body, "bad_room") {
		t.Errorf("bad room: %d %s", r.StatusCode, body)
	}
	if _, _, body := e.exchange(get("/api/rooms/nobody/messages")); body != `{"epoch":"","first":0,"last":0,"messages":[]}`+"\n" {
		t.Errorf("a room nobody was in: %s", body)
	}
}

func TestHealth(t *testing.T) {
	for name, ops := range map[string]string{"on listen": "", "on ops_listen": "127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, func(c *config.Config) { c.OpsListen = ops })
			for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
				if ops != "" {
					if r, _, _ := e.exchange(get(path)); r.StatusCode != 404 {
						t.Errorf("%s on listen: %d, want 404", path, r.StatusCode)
					}
					w := ask(e.s.OpsHandler(), "GET", path)
					if w.Code != 200 || w.Body.String() != want {
						t.Errorf("%s on ops_listen: %d %q, want %q", path, w.Code, w.Body, want)
					}
					continue
				}
				if r, _, body := e.exchange(get(path)); r.StatusCode != 200 || body != want {
					t.Errorf("%s: %d %q, want %q", path, r.StatusCode, body, want)
				}
			}
			if _, _, body := e.exchange(get("/api/rooms/doyasa/messages")); !strings.Contains(body, `"last":0`) {
				t.Errorf("/readyz left something: %s", body)
			}
			e.shutdown()
			if w := ask(e.s.OpsHandler(), "GET", "/readyz"); w.Code != 503 {
				t.Errorf("/readyz after Shutdown: %d, want 503", w.Code)
			}
			if w := ask(e.s.OpsHandler(), "GET", "/healthz"); w.Code != 200 {
				t.Errorf("/healthz after Shutdown: %d, want 200", w.Code)
			}
		})
	}
}

// A client that posts and goes before the answer is not a fault of the server, and makes no line in the log.
func TestPostWhoseSenderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := journaltest.NewAsync(journaltest.Options{Held: true})
		defer journal.Stop()
		var log bytes.Buffer
		s, err := New(Options{Config: config.Default(), Log: zerolog.New(&log), Page: fstest.MapFS{"index.html": {}}, Journal: journal})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/rooms/doyasa/messages", strings.NewReader("hi"))
		go s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if log.Len() > 0 {
			t.Errorf("the log says\n%s", &log)
		}
		journal.Free()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// net/http ends a request's context when the client has closed its sending side. Such a client still waits for its answer and
// gets the same one as others, also if the journal does not answer.
func TestAnswerToHalfClosed(t *testing.T) {
	const path = "/api/rooms/doyasa/messages"
	for _, tt := range []struct {
		method  string
		answers bool // the journal does
		status  int
		want    string
	}{
		{"POST", true, 200, `"text":"hi"`},
		{"POST", false, 503, `"code":"internal"`},
		{"GET", true, 200, `"messages":[]`},
		{"GET", false, 503, `"code":"internal"`},
	} {
		t.Run(fmt.Sprint(tt.method, tt.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				journal := journaltest.NewAsync(journaltest.Options{Held: true})
				defer journal.Stop()
				s, err := New(Options{Config: config.Default(), Log: zerolog.Nop(), Page: fstest.MapFS{"index.html": {}}, Journal: journal})
				if err != nil {
					t.Fatal(err)
				}
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				w := httptest.NewRecorder()
				answered := make(chan struct{}) // closed after the answer
				go func() {
					s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(gone, tt.method, path, strings.NewReader("hi")))
					close(answered)
				}()
				synctest.Wait()
				if tt.answers {
					journal.Free()
				}
				<-answered
				if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
					t.Errorf("%d %q, want %d with %s", w.Code, w.Body, tt.status, tt.want)
				}
				journal.Free()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
