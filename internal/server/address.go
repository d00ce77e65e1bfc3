package server

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"strings"
)

// A requester is where a request comes from, as far as we can tell.
type requester struct {
	addr netip.Addr // the zero Addr if it cannot be told
	port uint16     // 0 if somebody else was asked, and told us
}

// network is who it counts as for limits.
func (r requester) network() network { return networkOf(r.addr) }

// String is for the log.
func (r requester) String() string {
	switch {
	case !r.addr.IsValid():
		return "unknown"
	case r.port == 0:
		return r.addr.String()
	}
	return netip.AddrPortFrom(r.addr, r.port).String()
}

// A network is who counts as one for limits: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer has. All whose address is not known are one.
type network uint64

func networkOf(addr netip.Addr) network {
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return network(1<<32 | uint64(binary.BigEndian.Uint32(b[:]))) // within ::/8, where nobody is
	}
	b := addr.As16()
	return network(binary.BigEndian.Uint64(b[:]))
}

// String is the address, or the network with its length.
func (n network) String() string {
	var b [16]byte
	if n>>32 == 1 {
		binary.BigEndian.PutUint32(b[:], uint32(n))
		return netip.AddrFrom4([4]byte(b[:4])).String()
	}
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return netip.PrefixFrom(netip.AddrFrom16(b), 64).String()
}

// requesterOf tells who sends a request: who is connected, or whom a trusted proxy has seen. Each
// proxy adds to the right of X-Forwarded-For the address it was asked from, so that is
// walked from the right for as long as who wrote it is trusted; what stands left of the
// first stranger anybody may have written.
func (s *Server) requesterOf(r *http.Request) requester {
	next, _ := netip.ParseAddrPort(r.RemoteAddr)
	p := requester{next.Addr().Unmap(), next.Port()}
	seen := forwardedFor(r)
	if len(seen) > 0 && !s.trusted(p.addr) {
		s.warnOfProxy(p.addr)
	}
	for len(seen) > 0 && s.trusted(p.addr) {
		next, ok := parseForwarded(seen[len(seen)-1])
		if !ok {
			break
		}
		p, seen = requester{addr: next}, seen[:len(seen)-1]
	}
	return p
}

// forwardedFor are the addresses of all X-Forwarded-For fields, from left to right.
func forwardedFor(r *http.Request) []string {
	fields := r.Header["X-Forwarded-For"]
	if len(fields) == 0 {
		return nil
	}
	return strings.Split(strings.Join(fields, ","), ",")
}

// parseForwarded reads an address, which some proxies write with a port.
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
	addr = addr.WithZone("") // that of a link-local peer, with which it would be in no prefix
	for _, p := range s.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// warnOfProxy says once that somebody close, probably a proxy of our own, tells from where
// it is asked and is not believed.
func (s *Server) warnOfProxy(addr netip.Addr) {
	if (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()) && !s.proxyWarned.Swap(true) {
		s.log.Warn().Stringer("peer", addr).Str("setting", "trusted_proxies").Strs("allowed", s.cfg.TrustedProxies).
			Msg("a peer sends X-Forwarded-For and is not trusted: if it is your proxy, list its address in trusted_proxies, else everybody behind it counts as one address")
	}
}
