package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// parseAddress accepts host:port for net.Listen. An empty host means every address, port 0 any free port. A port must be a number, so that
// a start never depends on the names in /etc/services.
func parseAddress(s string) (string, error) {
	want := errors.New(`want host:port, such as ":3000", "127.0.0.1:3000" or "[::1]:3000", with a port from 0 (any free one) to 65535`)
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", want
	}
	n, err := parsePort(port)
	if err != nil {
		return "", want
	}
	if host != "" && !validHost(host) && !validZone(host) {
		return "", want
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// parsePublished brings the published side of a ports: line of docker-compose.yml, which is a port or an address with a port, into the
// form host:port. It returns "" for everything else, such as a range of ports, because only the engine knows which port it has chosen.
func parsePublished(s string) string {
	if portForm.MatchString(s) {
		s = ":" + s
	}
	address, err := parseAddress(s)
	if err != nil || strings.HasSuffix(address, ":0") {
		return ""
	}
	return address
}

// ParseOrigin brings an origin into the one form in which origins are compared (RFC 6454 section 6.2): scheme and host in lower case, an
// IP address in its shortest form, without the default port of http or https. It accepts one slash at the end, and returns "null"
// unchanged. Everything else that a browser would not send as an origin is an error: a path, a missing scheme, a pattern, a host outside
// ASCII (browsers send its punycode form). It is used for settings and for Origin headers.
func ParseOrigin(s string) (string, error) {
	const want = `want scheme://host or scheme://host:port, such as "https://chat.example.org"`
	switch {
	case s == "null":
		return s, nil
	case s == "*":
		return "", errors.New(`"*" would let every page on the web speak for its visitors; list the origins`)
	case strings.Contains(s, "*"):
		return "", errors.New("patterns are not read; list each origin")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !ok || !schemeForm.MatchString(scheme) {
		return "", errors.New(want)
	}
	if scheme == "ws" || scheme == "wss" {
		return "", errors.New("the origin is that of the page, so its scheme is http or https")
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/?#@") {
		return "", errors.New(want + ", without path or user")
	}
	host, port := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		n, err := parsePort(rest[i+1:])
		if err != nil || n == 0 {
			return "", errors.New(want)
		}
		host = rest[:i]
		if !(scheme == "http" && n == 80 || scheme == "https" && n == 443) {
			port = ":" + strconv.Itoa(n)
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return "", errors.New(want)
		}
		return scheme + "://[" + addr.String() + "]" + port, nil
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > 127 }) {
		return "", errors.New("write the host in its ASCII form (xn--…), as browsers send it")
	}
	if strings.Contains(host, ":") || !validHost(host) {
		return "", errors.New(want)
	}
	return scheme + "://" + strings.ToLower(host) + port, nil
}

// parsePublicURL accepts an http or https origin: the page is at the root of its host.
func parsePublicURL(s string) (string, error) {
	origin, err := ParseOrigin(s)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(origin, "http://") && !strings.HasPrefix(origin, "https://") {
		return "", errors.New(`want http:// or https:// and a host, such as "https://chat.example.org"`)
	}
	return origin, nil
}

// parseNetwork accepts a network such as 10.0.0.0/8, or one address, and returns the network with the host bits cleared.
func parseNetwork(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if addr, alone := netip.ParseAddr(s); alone == nil {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil || !p.IsValid() || p.Addr().Zone() != "" || p.Addr().Is4In6() {
		return "", errors.New(`want a network such as "10.0.0.0/8" or "2001:db8::/32", or one address`)
	}
	return p.Masked().String(), nil
}

// Origins returns AllowedOrigins and PublicURL, in the form that ParseOrigin returns. These origins are allowed in addition to the same
// origin.
func (c Config) Origins() []string {
	origins := append([]string(nil), c.AllowedOrigins...)
	if c.PublicURL != "" {
		origins = append(origins, c.PublicURL)
	}
	return origins
}

var (
	schemeForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`) // RFC 3986 section 3.1
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)
	digitsForm = regexp.MustCompile(`^[0-9.]+$`)
	portForm   = regexp.MustCompile(`^[0-9]{1,5}$`)
)

func parsePort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || !portForm.MatchString(s) || n > 65535 {
		return 0, errors.New("not a port")
	}
	return n, nil
}

// validHost accepts a host name or an IP address without a zone. A host of digits and dots must be an address: otherwise a mistyped
// address would be taken for a name and looked up.
func validHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	return len(s) <= 253 && hostForm.MatchString(s) && !digitsForm.MatchString(s)
}

// validZone accepts an IPv6 address with a zone, such as fe80::1%eth0. A server can listen on it, but it cannot be part of an origin.
func validZone(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Zone() != ""
}
