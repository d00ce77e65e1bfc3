//go:build !linux

package bench

import (
	"net/netip"
	"time"
)

func newTransport(target netip.AddrPort, n int, base time.Time, _ bool) (transport, error) {
	return newPortable(target, n, base), nil
}
