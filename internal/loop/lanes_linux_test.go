package loop

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	loops["lanes"] = func(o Options) looper { return NewLanes(o) }
}

// What is no TCP connection has no descriptor to take, and is served all the same.
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

// Descriptors and slots are used again as soon as they are free, and connections come and go in the same turns: nobody gets
// a byte that was meant for another, whichever way it goes.
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
			if i%2 == 0 { // who takes the descriptor next has something to say at once
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

// An event of a connection that has ended in the same batch finds nobody, though its slot has another owner by now.
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
	place, generation := first.slot, l.slots[first.slot].generation
	peer.Close()
	first.end(nil)
	before := first.fd
	second := func() (*recorder, *laneConn, *net.TCPConn) {
		// The first one's descriptor is not closed before the batch is over, so the next has another.
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
	if c.gone || len(r.fed) > 0 {
		t.Errorf("an event of the last owner reached the next: gone %v, fed %q", c.gone, r.fed)
	}
	for !bytes.Equal(r.fed, []byte("mine")) {
		l.turn()
	}
	c.end(nil)
	l.turn()
}

// Who comes or goes while a circle is under way does not begin it anew: a storm of them would keep the lane walking for nothing.
// Everybody is asked all the same.
func TestChangesDoNotBeginACircleAnew(t *testing.T) {
	const members, moving = 1000, 200
	for _, tt := range []struct {
		name     string
		from, to string
	}{{"coming", "elsewhere", "room"}, {"going", "room", "elsewhere"}} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPass(t, members+moving)
			var movers []*laneConn
			for i := range moving { // from all over the circle
				c := p.lane.slots[i*(members+moving)/moving].conn
				c.Follow(tt.from)
				movers = append(movers, c)
			}
			p.deliver()
			p.publish()
			p.lane.groups["room"].Wake()
			turns := 0
			for ; turns == 0 || len(p.lane.walks) > 0; turns++ {
				if len(movers) > 0 {
					c := movers[0]
					movers = movers[1:]
					c.Post(func() { c.Follow(tt.to) })
				}
				p.lane.turn()
			}
			if most := (members+moving)/maxVisits + 10; turns > most {
				t.Errorf("a circle took %d turns, want at most %d", turns, most)
			}
			for p.lane.turn() { // who was moved within the group is asked by itself
			}
			for _, c := range p.lane.groups["room"].members {
				if c.session.(*due).left > 0 {
					t.Errorf("the member at %d has not been asked", c.place)
				}
			}
		})
	}
}

// While a circle is under way who sends is not served before the others, and gets what it is owed behind it: what everybody has
// been woken for, and what is for it alone.
func TestSendersWaitTheirTurn(t *testing.T) {
	for _, tt := range []struct {
		name     string
		everyone bool
	}{{"for everybody", true}, {"for it alone", false}} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPass(t, 3*maxVisits)
			sender := p.sessions[1] // the first to be visited
			p.publish()
			p.group.Wake()
			p.lane.turn()
			if sender.left > 0 || p.group.left == 0 {
				t.Fatalf("after a turn the sender has %d bytes due and %d members are not visited", sender.left, p.group.left)
			}
			if sender.left = len(sender.frame); tt.everyone {
				p.publish()
				p.group.Wake()
			}
			if _, err := unix.Write(p.peers[1], []byte("x")); err != nil {
				t.Fatal(err)
			}
			p.lane.turn()
			if sender.left == 0 || p.group.left == 0 {
				t.Errorf("the sender has %d bytes due while %d members are not visited", sender.left, p.group.left)
			}
			for p.lane.turn() {
			}
			for i, s := range p.sessions {
				if s.left > 0 {
					t.Errorf("member %d has not been asked", i)
				}
			}
		})
	}
}

// piecewise is a session with some large frames due, of which each is written by itself. It notes who has got one.
type piecewise struct {
	due
	name   int
	frames int
	got    *[]int
}

func (p *piecewise) Due(bufs [][]byte) ([][]byte, error) {
	if p.frames == 0 {
		return bufs, nil
	}
	return append(bufs, p.frame), nil
}

func (p *piecewise) Wrote(n int) {
	if n == len(p.frame) {
		p.frames--
		*p.got = append(*p.got, p.name)
	}
}

// What is large goes to everybody before anybody gets the next of it.
func TestLargeFramesInRounds(t *testing.T) {
	p := newPass(t, 2*maxVisits)
	var got []int
	frame := make([]byte, maxBurst)
	for i, c := range p.group.members {
		c.session = &piecewise{due: due{frame: frame}, name: i, frames: 3, got: &got}
	}
	p.deliver()
	if len(got) != 3*len(p.group.members) {
		t.Fatalf("%d frames are written, want 3 to each of %d", len(got), len(p.group.members))
	}
	for len(got) > 0 {
		round := slices.Sorted(slices.Values(got[:len(p.group.members)]))
		if len(slices.Compact(round)) != len(p.group.members) {
			t.Fatal("somebody has got two frames before everybody had got one")
		}
		got = got[len(p.group.members):]
	}
}
