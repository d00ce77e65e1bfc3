package limit

import (
	"net/netip"
	"testing"
)

// An IPv4 address and a /64 of IPv6 each count as one network.
func TestNetworks(t *testing.T) {
	of := func(s string) Network { return NetworkOf(netip.MustParseAddr(s)) }
	for _, same := range [][2]string{{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"}} {
		if of(same[0]) != of(same[1]) {
			t.Errorf("%s and %s count as two, want one", same[0], same[1])
		}
	}
	for _, differ := range [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8:0:1::1"}, {"192.0.2.1", "2001:db8::1"}, {"0.0.0.1", "::1"}} {
		if of(differ[0]) == of(differ[1]) {
			t.Errorf("%s and %s count as one, want two", differ[0], differ[1])
		}
	}
	for addr, want := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64"} {
		if got := of(addr).String(); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
	if NetworkOf(netip.Addr{}) != NetworkOf(netip.MustParseAddr("::1")) {
		t.Error("an address that is not known counts as something else than before")
	}
}
