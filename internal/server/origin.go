package server

import (
	"net"
	"strings"

	"github.com/doyasa/doyasa/internal/config"
)

// originAllowed tells whether a page of origin may talk to us: it is listed, or it is
// the page of the very Host that was asked.
//
// Behind a proxy that ends TLS the scheme is not known. A Host without a port may then
// be https as well as http; one with a port of its own is taken for what we speak.
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
