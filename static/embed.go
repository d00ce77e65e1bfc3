// Package static is the page: plain ES modules, CSS and drawings, embedded as they are and served as they are.
//
// It must not know what serves it: no HTTP, no WebSocket, no configuration. The tests beside the page are left out of the binary.
package static

import "embed"

// Files holds the page, rooted so that index.html is "index.html" and a module is "js/main.js". The page asks for its files by
// absolute path (/style.css), so the same index.html serves / and every /r/NAME.
//
//go:embed index.html icon.svg css js
var Files embed.FS
