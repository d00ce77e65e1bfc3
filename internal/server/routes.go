package server

import (
	"net/http"
	"path"
	"strings"

	"github.com/doyasa/doyasa/internal/chat"
)

// Handler answers all requests. If ops_listen is set, it does not answer health and metrics.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/websocket", s.serveWebSocket)
	mux.Handle("/api/rooms/{room}/messages", methods{http.MethodGet: s.getMessages, http.MethodPost: s.postMessage})
	s.routePage(mux)
	if s.cfg.OpsListen == "" {
		s.routeOps(mux, false)
	}
	return cleanPaths(mux)
}

// OpsHandler answers health, metrics and the export, for ops_listen.
func (s *Server) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	s.routeOps(mux, true)
	mux.Handle("/export", methods{http.MethodGet: s.exportHistory})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { writeCode(w, chat.NotFound) })
	return mux
}

// methods are the handlers of one path by method. A handler for GET answers HEAD as well.
type methods map[string]http.HandlerFunc

// ServeHTTP implements http.Handler. A method without a handler is refused, but OPTIONS is not, because the
// health checks of HAProxy use it. Its answer allows nothing to pages of other sites.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if handle := m[method]; handle != nil {
		handle(w, r)
		return
	}
	allow := "GET, HEAD"
	if m[http.MethodPost] != nil {
		allow += ", POST"
	}
	w.Header().Set("Allow", allow)
	if method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeError(w, &refusal{code: chat.BadMethod, text: "this path takes " + allow})
}

// cleanPaths passes requests to next if their path has no empty and no dotted element. Other requests are
// redirected to the path without these elements. http.ServeMux would redirect them too, but it escapes the path
// a second time. Clients of the API seldom follow redirects, so they are told that there is nothing.
func cleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.EscapedPath()
		clean := path.Clean(given)
		if clean != "/" && strings.HasSuffix(given, "/") {
			clean += "/"
		}
		switch {
		case given == clean, !strings.HasPrefix(given, "/"):
			next.ServeHTTP(w, r)
		case strings.HasPrefix(given, "/api/"), strings.HasPrefix(clean+"/", "/api/"):
			writeCode(w, chat.NotFound)
		default:
			if r.URL.RawQuery != "" {
				clean += "?" + r.URL.RawQuery
			}
			http.Redirect(w, r, clean, http.StatusTemporaryRedirect)
		}
	})
}
