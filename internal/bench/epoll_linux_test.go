package bench

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// tally is a handler that counts what has been told of each connection.
type tally struct {
	t          *testing.T
	open, seen int
	from       []bool // by connection: it has been received from
}

func (c *tally) connected(int)            { c.open++ }
func (c *tally) writable(int)             {}
func (c *tally) gone(i int, err error)    { c.t.Errorf("connection %d: %v", i, err) }
func (c *tally) received(i int, _ []byte) { c.seen, c.from[i] = c.seen+1, true }

// What has come to a small group is received before all that had come to a large one.
func TestGroupsInTurn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const large = 200 // more than one turn's
	base := time.Now()
	sockets, err := newTransport(netip.MustParseAddrPort(l.Addr().String()), []int{large, large + 1}, base, false)
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.shutdown()
	told := &tally{t: t, from: make([]bool, large+1)}
	var peers []net.Conn
	for i := range large + 1 {
		if err := sockets.dial(large-i, netip.Addr{}); err != nil { // the small group's first, and so last to be written to
			t.Fatal(err)
		}
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		for told.open <= i {
			if err := sockets.wait(time.Since(base)+time.Minute, told); err != nil {
				t.Fatal(err)
			}
		}
		peers = append(peers, nc)
	}
	slices.Reverse(peers)
	for _, nc := range peers { // over the loopback it has arrived when it is written
		if _, err := nc.Write([]byte("-")); err != nil {
			t.Fatal(err)
		}
	}
	if err := sockets.wait(time.Since(base)+time.Minute, told); err != nil {
		t.Fatal(err)
	}
	if !told.from[large] || told.seen > large {
		t.Errorf("first received from %d connections, the small group's among them: %v", told.seen, told.from[large])
	}
}
