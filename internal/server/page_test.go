package server

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/config"
)

// ask gives a request to a handler, with header lines like "Name: value".
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://chat.example:3000"+target, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	e := newEdge(t, nil)
	h := e.s.Handler()
	const html = "text/html; charset=utf-8"
	tests := []struct {
		method, target string
		status         int
		mimeType, body string
	}{
		{"GET", "/", 200, html, "<!doctype html>"},
		{"HEAD", "/", 200, html, ""},
		{"GET", "/index.html", 200, html, "<!doctype html>"},
		{"GET", "/r/doyasa", 200, html, "<!doctype html>"},
		{"GET", "/r/%E3%81%A9%E3%82%84", 200, html, "<!doctype html>"},
		{"GET", "/r/doyasa/", 200, html, "<!doctype html>"},
		{"HEAD", "/r/doyasa/", 200, html, ""},
		{"GET", "/r/%E3%81%A9%E3%82%84/?x=1", 200, html, "<!doctype html>"},
		{"GET", "/?room=x", 200, html, "<!doctype html>"},
		{"GET", "/js/main.js", 200, "text/javascript; charset=utf-8", "main()"},
		{"GET", "/css/page.css", 200, "text/css; charset=utf-8", "a{}"},
		{"GET", "/icon.svg", 200, "image/svg+xml", "<svg/>"},
		{"GET", "/r/", 404, "", ""},
		{"GET", "/r/a/b", 404, "", ""},
		{"GET", "/r/a/b/", 404, "", ""},
		{"GET", "/js", 404, "", ""},
		{"GET", "/js/", 404, "", ""},
		{"GET", "/nothing", 404, "", ""},
		{"GET", "/js/..%2findex.html", 404, "", ""},
		{"POST", "/", 405, "", ""},
		{"DELETE", "/js/main.js", 405, "", ""},
	}
	for _, tt := range tests {
		w := ask(h, tt.method, tt.target)
		if w.Code != tt.status {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.target, w.Code, tt.status)
			continue
		}
		if tt.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", tt.method, tt.target, w.Header().Get("Allow"))
		}
		if tt.status != 200 {
			continue
		}
		if got := w.Header().Get("Content-Type"); got != tt.mimeType || w.Body.String() != tt.body {
			t.Errorf("%s %s = %s %q, want %s %q", tt.method, tt.target, got, w.Body, tt.mimeType, tt.body)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s %q, want %q", tt.method, tt.target, name, got, want)
			}
		}
		etag := w.Header().Get("ETag")
		if again := ask(h, tt.method, tt.target, "If-None-Match: "+etag); etag == "" || again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("%s %s with its ETag %s: %d with %d bytes, want 304 with none", tt.method, tt.target, etag, again.Code, again.Body.Len())
		}
		if again := ask(h, tt.method, tt.target, `If-None-Match: "old"`); again.Code != 200 {
			t.Errorf("%s %s with an old ETag: %d, want 200", tt.method, tt.target, again.Code)
		}
	}
}

// Behind a proxy that rewrites Host, the policy names the host that people open.
func TestContentSecurityPolicyOfPublicURL(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.PublicURL = "https://chat.example" })
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "10.0.0.1:3000"
	e.s.Handler().ServeHTTP(w, r)
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, " wss://chat.example;") {
		t.Errorf("policy = %s, want wss://chat.example in it", policy)
	}
}

// The policy names the host that was asked, and nothing that is not a host.
func TestContentSecurityPolicy(t *testing.T) {
	e := newEdge(t, nil)
	h := e.s.Handler()
	for host, want := range map[string]string{
		"chat.example:3000":       "connect-src 'self' ws://chat.example:3000 wss://chat.example:3000;",
		"chat.example":            "connect-src 'self' ws://chat.example wss://chat.example;",
		"[::1]:3000":              "connect-src 'self' ws://[::1]:3000 wss://[::1]:3000;",
		"x; script-src *":         "connect-src 'self';",
		"x script-src 'unsafe'":   "connect-src 'self';",
		"*":                       "connect-src 'self';",
		"":                        "connect-src 'self';",
		"evil.example, a.example": "connect-src 'self';",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, want) || strings.Count(policy, "script-src") != 1 {
			t.Errorf("Host %q: %s, want %s in it", host, policy, want)
		}
		for _, directive := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'self'",
			"base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, directive) {
				t.Errorf("policy %s lacks %s", policy, directive)
			}
		}
	}
}

// static_dir is served as it is: inline scripts run.
func TestStaticDir(t *testing.T) {
	dir := t.TempDir()
	page := "<script>new WebSocket('ws://localhost:3000/websocket')</script>"
	for name, body := range map[string]string{"index.html": page, "style.css": "b{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEdge(t, func(c *config.Config) { c.StaticDir = dir })
	h := e.s.Handler()
	w := ask(h, "GET", "/")
	if w.Code != 200 || w.Body.String() != page || w.Header().Get("Content-Security-Policy") != "" {
		t.Errorf("/ = %d %q, policy %q, want the folder's page without one", w.Code, w.Body, w.Header().Get("Content-Security-Policy"))
	}
	if w := ask(h, "GET", "/style.css"); w.Code != 200 || w.Body.String() != "b{}" {
		t.Errorf("/style.css = %d %q", w.Code, w.Body)
	}
	for target, want := range map[string]int{"/js/main.js": 404, "/../page_test.go": 404, "/%2e%2e/page_test.go": 404, "/websocket": 426, "/healthz": 200} {
		if w := ask(h, "GET", target); w.Code != want && w.Code != 307 {
			t.Errorf("%s = %d, want %d", target, w.Code, want)
		}
	}
	if w := ask(h, "POST", "/"); w.Code != 405 {
		t.Errorf("POST / = %d, want 405", w.Code)
	}
}

// Hidden files and things that are not regular files are not served. A folder has no list, and only a link that its owner has
// made leads out of it.
func TestStaticDirHides(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"index.html", "sub/index.html", "bare/a.txt", ".env", ".git/config", "sub/.hidden/a.txt", ".well-known/a.txt"} {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("index.html", filepath.Join(dir, "link.html")); err != nil {
		t.Fatal(err)
	}
	if l, err := net.Listen("unix", filepath.Join(dir, "socket")); err == nil { // on systems that have such sockets
		defer l.Close()
	}
	e := newEdge(t, func(c *config.Config) { c.StaticDir = dir })
	h := e.s.Handler()
	for target, want := range map[string]int{
		"/": 200, "/sub/": 200, "/sub": 301, "/bare/a.txt": 200, "/link.html": 200, "/.well-known/a.txt": 200,
		"/bare/": 404, "/bare": 404, "/.env": 404, "/%2eenv": 404, "/.git/": 404, "/.git/config": 404, "/sub/.hidden/a.txt": 404, "/.well-known/": 404, "/socket": 404, "/a%00b": 404, "/%ff": 404, "/a%5cb": 404,
		"/" + strings.Repeat("a", 5000): 404, "/sub/" + strings.Repeat("a/", 3000): 404,
	} {
		if w := ask(h, "GET", target); w.Code != want {
			t.Errorf("%.40s = %d %.60q, want %d", target, w.Code, w.Body, want)
		}
	}
}
