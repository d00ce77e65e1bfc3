// Package static is the page: plain ES modules, CSS and drawings, embedded as they are and served as they are.
//
// It must not know the server: no HTTP, no WebSocket, no configuration. The tests of the page are not embedded.
package static

import "embed"

// Files holds the page: index.html is "index.html" and a module is "js/main.js". The page asks for its files by absolute paths
// (/css/page.css), so one index.html serves / and every /r/NAME.
//
//go:embed index.html icon.svg css js
var Files embed.FS
