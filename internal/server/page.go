package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// asset is a file of the page, held in memory with its ETag.
type asset struct {
	body     []byte
	etag     string
	mimeType string
}

// routePage adds the page: the built-in one under a strict Content-Security-Policy, or
// what may be seen of static_dir, as it is.
func (s *Server) routePage(mux *http.ServeMux) {
	page := http.HandlerFunc(s.servePage)
	if dir := s.cfg.StaticDir; dir != "" {
		page = http.FileServerFS(folder{os.DirFS(dir)}).ServeHTTP
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		page(w, r)
	})
}

// folder is static_dir as strangers may see it: without what begins with a dot, such as .git and .env, but for .well-known;
// without lists of what is in a folder; and without what is no file, such as a pipe, which would hang whoever opens it.
type folder struct{ files fs.FS }

// Open implements fs.FS.
func (f folder) Open(name string) (fs.File, error) {
	missing := &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") && element != "." && element != ".well-known" {
			return nil, missing
		}
	}
	info, err := fs.Stat(f.files, name)
	if err == nil && info.IsDir() {
		info, err = fs.Stat(f.files, path.Join(name, "index.html"))
	}
	switch {
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENAMETOOLONG), err == nil && !info.Mode().IsRegular():
		return nil, missing
	case err != nil:
		return nil, err
	}
	return f.files.Open(name)
}

// servePage serves the built-in page: index.html for every room, and its files.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path
	room, inRoom := strings.CutPrefix(name, "/r/")
	if name == "/" || inRoom && room != "" && !strings.Contains(room, "/") {
		name = "/index.html"
	}
	a, ok := s.assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	host := r.Host
	if _, public, ok := strings.Cut(s.cfg.PublicURL, "://"); ok {
		host = public // a proxy may have rewritten the other
	}
	serveAsset(w, r, a, host)
}

// readAssets reads the whole page.
func readAssets(page fs.FS) (map[string]asset, error) {
	assets := make(map[string]asset)
	err := fs.WalkDir(page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(page, name)
		sum := sha256.Sum256(body)
		assets["/"+name] = asset{
			body:     body,
			etag:     `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
			mimeType: mimeType(name),
		}
		return err
	})
	return assets, err
}

// serveAsset lets browsers keep a file and ask each time whether it is still the same.
// host is the page's own.
func serveAsset(w http.ResponseWriter, r *http.Request, a asset, host string) {
	h := w.Header()
	h.Set("Content-Type", a.mimeType)
	h.Set("ETag", a.etag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", contentSecurityPolicy(host))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// hostForm is what may stand in a policy.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:]+\](:[0-9]+)?$`)

// contentSecurityPolicy allows the page its own files and its own WebSocket. Older
// Safari does not take 'self' for the latter, so the host is named.
func contentSecurityPolicy(host string) string {
	connect := "connect-src 'self'"
	if hostForm.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " + connect +
		"; manifest-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
}

// mimeType does not ask the machine's tables, which differ.
func mimeType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	}
	return mime.TypeByExtension(path.Ext(name))
}
