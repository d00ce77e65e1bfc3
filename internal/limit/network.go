// Package limit bounds what one address, and all addresses together, may cost the server. It limits
// messages, rooms and pages with tokens, and counts open connections, held bytes and lines in the log.
//
// It must not know rooms, frames, sockets, HTTP or the configuration. Its callers pass numbers.
package limit

import (
	"encoding/binary"
	"net/netip"
)

// A Peer is the address from which a request or a connection comes, if the server can know it.
type Peer struct {
	Addr netip.Addr // the zero Addr if the address is not known
	Port uint16     // 0 if a proxy has reported the address
}

// Network returns the network to which the peer's limits apply.
func (p Peer) Network() Network { return NetworkOf(p.Addr) }

// String returns the form for the log.
func (p Peer) String() string {
	switch {
	case !p.Addr.IsValid():
		return "unknown"
	case p.Port == 0:
		return p.Addr.String()
	}
	return netip.AddrPortFrom(p.Addr, p.Port).String()
}

// A Network is what the limits count as one client: an IPv4 address, or the /64 network of an IPv6 address,
// because an internet provider gives a whole /64 to one customer. All unknown addresses are one Network.
type Network uint64

// NetworkOf returns the network of an address.
func NetworkOf(addr netip.Addr) Network {
	if addr = addr.Unmap(); addr.Is4() {
		b := addr.As4()
		return Network(1<<32 | uint64(binary.BigEndian.Uint32(b[:]))) // an IPv4 address is stored as a value within ::/8, where no IPv6 address is assigned
	}
	b := addr.As16()
	return Network(binary.BigEndian.Uint64(b[:]))
}

// String returns the IPv4 address, or the IPv6 network with its length.
func (n Network) String() string {
	var b [16]byte
	if n>>32 == 1 {
		binary.BigEndian.PutUint32(b[:], uint32(n))
		return netip.AddrFrom4([4]byte(b[:4])).String()
	}
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return netip.PrefixFrom(netip.AddrFrom16(b), 64).String()
}
