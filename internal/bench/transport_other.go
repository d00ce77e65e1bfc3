//go:build !linux

package bench

import (
	"net/netip"
	"time"
)

func newTransport(target netip.AddrPort, ends []int, base time.Time, _ bool) (transport, error) {
	return newPortable(target, ends[len(ends)-1], base), nil
}
