package server

import (
	"bytes"
	"cmp"
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

	"github.com/doyasa/doyasa/internal/chat"
)

// asset is a file of the page, held in memory with its ETag.
type asset struct {
	body     []byte
	etag     string
	mimeType string
}

// routePage adds the page. This is either the built-in page with a strict Content-Security-Policy, or the
// public part of static_dir without changes.
func (s *Server) routePage(mux *http.ServeMux) {
	has := func(name string) bool { _, ok := s.assets[pageFile(name)]; return ok }
	page := methods{http.MethodGet: s.servePage}
	if dir := s.cfg.StaticDir; dir != "" {
		files := folder{os.DirFS(dir)}
		has = files.has
		page[http.MethodGet] = http.FileServerFS(files).ServeHTTP
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !has(r.URL.Path) {
			writeCode(w, chat.NotFound)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// A folder is the public part of static_dir. It hides names that begin with a dot, such as .git and .env, but
// not .well-known. It does not list directories. It hides everything that is not a regular file, because
// opening a pipe, for example, would block the goroutine.
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
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR), err == nil && !info.Mode().IsRegular():
		return nil, missing
	case err != nil:
		return nil, err
	}
	return f.files.Open(name)
}

// has tells whether there is a file at the path of a request. A file that cannot be read counts.
func (f folder) has(name string) bool {
	file, err := f.Open(cmp.Or(strings.Trim(path.Clean(name), "/"), "."))
	if err == nil {
		file.Close()
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// pageFile returns the name under which the built-in page has the file at a path. It is index.html for every
// room.
func pageFile(name string) string {
	room, inRoom := strings.CutPrefix(name, "/r/")
	room = strings.TrimSuffix(room, "/")
	if name == "/" || inRoom && room != "" && !strings.Contains(room, "/") {
		return "/index.html"
	}
	return name
}

// servePage serves a file of the built-in page, which must exist.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if _, public, ok := strings.Cut(s.cfg.PublicURL, "://"); ok {
		host = public // use the public host, because a proxy may have rewritten r.Host
	}
	serveAsset(w, r, s.assets[pageFile(r.URL.Path)], host)
}

// readAssets reads all files of the page.
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

// serveAsset sends a file. Browsers may keep it, but must ask each time whether it has changed. host is the
// host of the page.
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

// hostForm matches a host that can safely be written into a policy.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:]+\](:[0-9]+)?$`)

// contentSecurityPolicy allows the page to use only its own files and its own WebSocket. It names the host,
// because for older versions of Safari 'self' does not include a WebSocket.
func contentSecurityPolicy(host string) string {
	connect := "connect-src 'self'"
	if hostForm.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " + connect +
		"; manifest-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
}

// mimeType returns the type of a file of the page. It has a table of its own, because the tables of operating
// systems differ.
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
