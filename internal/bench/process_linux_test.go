package bench

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// The server's process is found by the port it listens on, over IPv4 and IPv6, and what it uses is read.
func TestFindServer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s: %v", address, err)
			continue
		}
		p, err := findServer(0, l.Addr().(*net.TCPAddr).AddrPort())
		if err != nil || p == nil || p.pid != os.Getpid() || p.name != "bench.test" {
			t.Errorf("who listens on %v: %+v, %v; want process %d, bench.test", l.Addr(), p, err, os.Getpid())
		}
		l.Close()
		if p, err := findServer(0, l.Addr().(*net.TCPAddr).AddrPort()); p != nil || err != nil {
			t.Errorf("a port on which nobody listens: %+v, %v; want nobody", p, err)
		}
	}
	if p, err := findServer(0, netip.MustParseAddrPort("192.0.2.1:80")); p != nil || err != nil {
		t.Errorf("a server elsewhere: %+v, %v; want nobody", p, err)
	}
	if _, err := findServer(1<<30, netip.AddrPort{}); err == nil {
		t.Error("a process that is not there is found")
	}
}

// CPU time is that of all threads, to the nanosecond, and memory is what is resident.
func TestUsage(t *testing.T) {
	p, err := findServer(os.Getpid(), netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	before, own := p.usage(), ownCPU()
	for ownCPU()-own < 5*time.Millisecond { // busy
	}
	ballast := make([]byte, 32<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	after := p.usage()
	if used := after.cpu - before.cpu; used < 5*time.Millisecond {
		t.Errorf("5 ms of CPU time and more are seen as %v", used)
	}
	if grown := after.rss - before.rss; grown < 16<<20 || ballast[0] != 1 {
		t.Errorf("32 MiB more are seen as %d bytes", grown)
	}
	var nobody *process
	if nobody.usage() != (usage{}) {
		t.Error("a server elsewhere uses something")
	}
}
