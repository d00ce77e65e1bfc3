package server

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/doyasa/doyasa/internal/limit"
)

// peerOf returns the peer that sends a request: the connected peer, or the one that a trusted proxy has
// reported. Each proxy appends the address of its own peer to X-Forwarded-For. So the list is read from the
// right for as long as the proxy that wrote an entry is trusted. Entries to the left of the first address
// that is not a trusted proxy may have been written by anybody.
func (s *Server) peerOf(r *http.Request) limit.Peer {
	next, _ := netip.ParseAddrPort(r.RemoteAddr)
	p := limit.Peer{Addr: next.Addr().Unmap(), Port: next.Port()}
	seen := forwardedFor(r)
	if len(seen) > 0 && !s.trusted(p.Addr) {
		s.warnOfProxy(p.Addr)
	}
	for len(seen) > 0 && s.trusted(p.Addr) {
		next, ok := parseForwarded(seen[len(seen)-1])
		if !ok {
			break
		}
		p, seen = limit.Peer{Addr: next}, seen[:len(seen)-1]
	}
	return p
}

// forwardedFor returns the addresses of all X-Forwarded-For fields, from left to right.
func forwardedFor(r *http.Request) []string {
	fields := r.Header["X-Forwarded-For"]
	if len(fields) == 0 {
		return nil
	}
	return strings.Split(strings.Join(fields, ","), ",")
}

// parseForwarded reads one entry of X-Forwarded-For. Some proxies write the address with a port.
func parseForwarded(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, portErr := netip.ParseAddrPort(s)
		addr, err = withPort.Addr(), portErr
	}
	return addr.Unmap().WithZone(""), err == nil
}

func (s *Server) trusted(addr netip.Addr) bool {
	addr = addr.WithZone("") // a link-local address has a zone, and no prefix contains an address with a zone
	for _, p := range s.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// warnOfProxy warns once if an untrusted peer with a local address sends X-Forwarded-For. Such a peer is
// probably the operator's own proxy.
func (s *Server) warnOfProxy(addr netip.Addr) {
	if (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()) && !s.proxyWarned.Swap(true) {
		s.log.Warn().Stringer("peer", addr).Str("setting", "trusted_proxies").Strs("allowed", s.cfg.TrustedProxies).
			Msg("a peer sends X-Forwarded-For and is not trusted: if it is your proxy, list its address in trusted_proxies, else everybody behind it counts as one address")
	}
}
