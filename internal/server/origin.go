package server

import (
	"net"
	"strings"

	"github.com/doyasa/doyasa/internal/config"
)

// originAllowed tells whether a page with this origin may use the server. The origin must be listed, or must
// be that of the Host in the request.
//
// If a proxy ends TLS, the server does not know the scheme of the page. So a Host without a port matches both
// https and http. A Host with a port matches only the scheme that this server speaks.
func (s *Server) originAllowed(origin, host string, tls bool) bool {
	origin, err := config.ParseOrigin(origin)
	if err != nil {
		return false
	}
	if s.origins[origin] {
		return true
	}
	same := func(scheme string) bool {
		own, err := config.ParseOrigin(scheme + "://" + host)
		return err == nil && own == origin
	}
	if tls {
		return same("https")
	}
	_, _, noPort := net.SplitHostPort(host)
	return same("http") || noPort != nil && !strings.HasSuffix(host, ":") && same("https")
}
