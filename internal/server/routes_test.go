package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/config"
)

// The health checks of load balancers are HTTP/1.0 without Host, and HAProxy sends OPTIONS unless it is told otherwise. With OPTIONS,
// health is as bad as it is with GET.
func TestHealthChecks(t *testing.T) {
	for name, change := range map[string]func(*config.Config){"the built-in page": nil, "static_dir": func(c *config.Config) {
		c.StaticDir = t.TempDir()
		os.WriteFile(filepath.Join(c.StaticDir, "index.html"), []byte("x"), 0o600)
	}} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, change)
			for request, want := range map[string]int{
				"OPTIONS / HTTP/1.0\r\n\r\n":                                                                 204,
				"OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                 204,
				"OPTIONS * HTTP/1.0\r\n\r\n":                                                                 200,
				"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                 200,
				"OPTIONS /healthz HTTP/1.0\r\n\r\n":                                                          200,
				"OPTIONS /readyz HTTP/1.0\r\n\r\n":                                                           200,
				"OPTIONS /api/rooms/tea/messages HTTP/1.0\r\n\r\n":                                           204,
				"OPTIONS /nothing HTTP/1.0\r\n\r\n":                                                          404,
				"HEAD / HTTP/1.0\r\n\r\n":                                                                    200,
				"GET / HTTP/1.0\r\n\r\n":                                                                     200,
				"HEAD /healthz HTTP/1.0\r\n\r\n":                                                             200,
				"HEAD /readyz HTTP/1.0\r\n\r\n":                                                              200,
				"GET /metrics HTTP/1.0\r\n\r\n":                                                              200,
				"GET /api/rooms/tea/messages HTTP/1.0\r\n\r\n":                                               200,
				"POST /api/rooms/tea/messages HTTP/1.0\r\nContent-Length: 1\r\n\r\nx":                        200,
				"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n": 204,
			} {
				r, head, _ := e.exchange(request)
				if r.StatusCode != want {
					t.Errorf("%q: %d, want %d", request, r.StatusCode, want)
				}
				if want == 204 && r.Header.Get("Allow") == "" || strings.Contains(head, "Access-Control") {
					t.Errorf("%q: %q, want Allow, and nothing for pages of other sites", request, head)
				}
			}
			public, ops := e.s.Handler(), e.s.OpsHandler()
			e.shutdown()
			if a, b := ask(public, "OPTIONS", "/readyz"), ask(ops, "OPTIONS", "/readyz"); a.Code != 503 || b.Code != 503 {
				t.Errorf("OPTIONS /readyz after Shutdown: %d, on ops_listen %d, want 503", a.Code, b.Code)
			}
		})
	}
}

// A path that does not exist is 404 with every method, and one that exists 405 with the methods that it takes. Errors are JSON with a
// stable code, also those for which net/http has a text of its own.
func TestErrorsArePlain(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "sub"), 0o700)
	for _, name := range []string{"index.html", "a.txt", "sub/index.html"} {
		os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)
	}
	const messages = "GET, HEAD, POST"
	type row struct {
		method, target string
		status         int
		allow          string
	}
	both := []row{
		{"POST", "/nothing", 404, ""}, {"DELETE", "/r/a/b", 404, ""}, {"PATCH", "/R/tea", 404, ""}, {"BREW", "/js/nothing.js", 404, ""},
		{"GET", "/api", 404, ""}, {"GET", "/api/", 404, ""}, {"POST", "/api/", 404, ""}, {"PUT", "/api/rooms", 404, ""},
		{"GET", "/api/rooms/", 404, ""}, {"GET", "/api/rooms/tea", 404, ""}, {"POST", "/api/rooms/tea", 404, ""},
		{"GET", "/api/rooms/tea/messages/", 404, ""}, {"POST", "/api/rooms/tea/messages/1", 404, ""}, {"GET", "/api/..%2fx", 404, ""},
		{"GET", "/api//rooms/tea/messages", 404, ""}, {"POST", "/api/rooms//messages", 404, ""}, {"GET", "/api/../api/rooms/tea/messages", 404, ""},
		{"GET", "/api/./rooms/tea/messages", 404, ""}, {"GET", "//api", 404, ""}, {"POST", "//api/rooms/tea/messages", 404, ""}, {"GET", "/./api/x", 404, ""},
		{"GET", "/api/rooms/%2E%2E/messages", 400, ""}, {"GET", "/api/rooms/" + strings.Repeat("a", 5000) + "/messages", 400, ""},
		{"GET", "/api/rooms/tea/messages?after=x", 400, ""}, {"GET", "/api/rooms/tea/messages?%zz", 400, ""},
		{"PUT", "/api/rooms/tea/messages", 405, messages}, {"DELETE", "/api/rooms/tea/messages", 405, messages}, {"get", "/api/rooms/tea/messages", 405, messages},
		{"PROPFIND", "/", 405, "GET, HEAD"}, {"POST", "/healthz", 405, "GET, HEAD"}, {"PUT", "/metrics", 405, "GET, HEAD"}, {"TRACE", "/readyz", 405, "GET, HEAD"},
	}
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		rows   []row
	}{
		{"the built-in page", nil, append([]row{
			{"POST", "/r/tea", 405, "GET, HEAD"}, {"POST", "/r/tea/", 405, "GET, HEAD"}, {"POST", "/js/main.js", 405, "GET, HEAD"}, {"GET", "/js", 404, ""},
		}, both...)},
		{"static_dir", func(c *config.Config) { c.StaticDir = dir }, append([]row{
			{"POST", "/a.txt", 405, "GET, HEAD"}, {"POST", "/sub/", 405, "GET, HEAD"}, {"POST", "/sub", 405, "GET, HEAD"}, {"POST", "/a.txt/b", 404, ""},
			{"GET", "/a.txt/b", 404, ""}, {"POST", "/.env", 404, ""}, {"GET", "/b.txt", 404, ""}, {"POST", "/r/tea", 404, ""},
		}, both...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, tt.change)
			for _, row := range tt.rows {
				r, _, body := e.exchange(row.method + " " + row.target + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
				var got errorBody
				if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code == "" || got.Text == "" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
					t.Errorf("%s %.50s: %.200q, want JSON with a code", row.method, row.target, body)
				}
				if r.StatusCode != row.status || r.Header.Get("Allow") != row.allow {
					t.Errorf("%s %.50s: %d, Allow %q, want %d, %q", row.method, row.target, r.StatusCode, r.Header.Get("Allow"), row.status, row.allow)
				}
			}
		})
	}
	ops := newEdge(t, nil).s.OpsHandler()
	for _, row := range []row{{"GET", "/", 404, ""}, {"POST", "/nothing", 404, ""}, {"POST", "/export", 405, "GET, HEAD"}, {"DELETE", "/healthz", 405, "GET, HEAD"}} {
		if w := ask(ops, row.method, row.target); w.Code != row.status || w.Header().Get("Allow") != row.allow || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s on ops_listen: %d, Allow %q, %q, want %d, %q and JSON", row.method, row.target, w.Code, w.Header().Get("Allow"), w.Body, row.status, row.allow)
		}
	}
}

// Empty and dotted elements of a path are left out by a redirect, which keeps the query and escapes nothing twice.
func TestUncleanPaths(t *testing.T) {
	h := newEdge(t, nil).s.Handler()
	for target, want := range map[string]string{
		"//r/tea?x=1&y=%20":        "/r/tea?x=1&y=%20",
		"/r//%E3%81%A9":            "/r/%E3%81%A9",
		"/r/./tea/":                "/r/tea/",
		"/js/../r/a%2Fb":           "/r/a%2Fb",
		"//evil.example/..//r/tea": "/r/tea",
		"//evil.example":           "/evil.example",
		"/r/tea//":                 "/r/tea/",
	} {
		if w := ask(h, "GET", target); w.Code != 307 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q, want 307 to %q", target, w.Code, w.Header().Get("Location"), want)
		}
	}
}
