package loop

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	loops["lanes"] = func(o Options) looper { return NewLanes(o) }
}

// A connection that is not TCP has no descriptor to take, and is served all the same.
func TestLanesServeOthersToo(t *testing.T) {
	l := NewLanes(Options{})
	defer l.Shutdown(t.Context())
	peer, nc := net.Pipe()
	r := serve(t, l, nc, "")
	r.send("hi")
	expect(t, peer, "hi")
	peer.Close()
	<-r.gone
}

// Descriptors and slots are used again as soon as they are free, and connections begin and end in the same turns: none gets a byte
// that was meant for another, in either direction.
func TestReuse(t *testing.T) {
	l := NewLanes(Options{Tick: time.Millisecond})
	defer l.Shutdown(t.Context())
	const rounds, conns = 60, 30
	for round := range rounds {
		var all []*recorder
		var peers []*net.TCPConn
		for i := range conns {
			r, peer := over(t, l, "")
			all, peers = append(all, r), append(peers, peer)
			r.send(fmt.Sprintf("to %d/%d;", round, i))
		}
		for i, peer := range peers {
			fmt.Fprintf(peer, "from %d/%d;", round, i)
			if i%3 == round%3 {
				peer.SetLinger(0) // the reset is an event of its own
			}
			go peer.Close()
			if i%2 == 0 { // the next owner of the descriptor has something to say at once
				r, next := over(t, l, "")
				next.Write([]byte("next;"))
				r.until(t, "the next has been fed", func() bool { return len(r.fed) > 0 })
				if string(r.fed) != "next;" {
					t.Fatalf("fed %q, want %q", r.fed, "next;")
				}
				next.Close()
			}
		}
		for i, r := range all {
			<-r.gone
			if want := fmt.Sprintf("from %d/%d;", round, i); !strings.HasPrefix(want, string(r.fed)) {
				t.Fatalf("fed %q, want %q", r.fed, want)
			}
		}
	}
}

// An event of a connection that has ended in the same turn reaches nobody, although its slot has another owner by now.
func TestStaleEvent(t *testing.T) {
	ls := NewLanes(Options{})
	defer ls.Shutdown(t.Context())
	l, err := newLane(ls)
	if err != nil {
		t.Fatal(err)
	}
	defer l.epoll.Close()
	begin := func() (*recorder, *laneConn, *net.TCPConn) {
		peer, nc := tcp(t)
		fd, err := takeOver(nc)
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{t: t, gone: make(chan struct{})}
		l.loop.running.Add(1)
		l.serve(fd, nil, func(c Conn) Session { r.conn = c; return r })
		l.turn()
		return r, r.conn.(*laneConn), peer
	}
	_, first, peer := begin()
	place, generation := first.slot, l.slots.generation(first)
	peer.Close()
	first.end(nil)
	before := first.fd
	second := func() (*recorder, *laneConn, *net.TCPConn) {
		// The first connection's descriptor is closed at the end of the turn, so the next one has another.
		r, c, peer := begin()
		if c.fd == before {
			t.Error("a descriptor was used again within the turn in which its owner ended")
		}
		return r, c, peer
	}
	r, c, peer := second()
	if c.slot != place {
		t.Fatalf("the next connection has slot %d, want %d again", c.slot, place)
	}
	peer.Write([]byte("mine"))
	l.ready(place, generation, unix.EPOLLIN|unix.EPOLLHUP)
	if c.phase == ended || len(r.fed) > 0 {
		t.Errorf("an event of the last owner reached the next: phase %v, fed %q", c.phase, r.fed)
	}
	for !bytes.Equal(r.fed, []byte("mine")) {
		l.turn()
	}
	c.end(nil)
	l.turn()
}
