package loop

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

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

// inCircle is a pass of which a part of the members has been visited: the one at 1, but not the last.
func inCircle(t *testing.T) *pass {
	p := newPass(t, 3*maxVisits)
	p.publish()
	p.group.Wake()
	p.lane.turn()
	if p.sessions[1].left > 0 || p.sessions[len(p.sessions)-1].left == 0 {
		t.Fatal("after one turn not one part of the members has been visited")
	}
	return p
}

// write is what the peer of a member sends.
func (p *pass) write(t *testing.T, member int) {
	if _, err := unix.Write(p.peers[member], []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// Whom a circle has passed gets nothing more before it is over, whatever happens to it, and then what it is owed: what everybody has
// been woken for, and what is for it alone.
func TestNobodyOutOfTurn(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(p *pass, c *laneConn)
	}{
		{"it has sent something", func(p *pass, _ *laneConn) { p.write(t, 1) }},
		{"it has been woken", func(_ *pass, c *laneConn) { c.Wake() }},
		{"its time has come", func(_ *pass, c *laneConn) { c.WakeAfter(0) }},
		{"there is more for everybody", func(p *pass, _ *laneConn) { p.publish(); p.write(t, 1); p.group.Wake() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := inCircle(t)
			s, last := p.sessions[1], p.sessions[len(p.sessions)-1]
			s.left = len(s.frame)
			tt.ask(p, p.group.members[1])
			p.lane.turn()
			if s.left == 0 || last.left == 0 {
				t.Errorf("it has %d bytes due, and the last of the circle %d", s.left, last.left)
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

// Who moves elsewhere with something owed is asked there.
func TestMoveWithSomethingOwed(t *testing.T) {
	p := inCircle(t)
	s, c := p.sessions[1], p.group.members[1]
	s.left = len(s.frame)
	p.write(t, 1)
	p.lane.turn()
	c.Follow("elsewhere")
	for p.lane.turn() {
	}
	if s.left > 0 {
		t.Error("it has not been asked")
	}
}

// A member whose socket is full when the circle comes is served when it takes more, though the circles go on.
func TestBlockedInACircle(t *testing.T) {
	p := newPass(t, 3*maxVisits)
	s, c := p.sessions[1], p.group.members[1]
	s.frame = make([]byte, 4<<20)
	s.left = len(s.frame)
	c.Wake()
	p.lane.turn()
	if !c.blocked {
		t.Fatal("4 MiB fit into a socket")
	}
	p.buf = make([]byte, 1<<20)
	for range 100 {
		p.group.Wake()
		for n := 1; n > 0; {
			n, _ = unix.Read(p.peers[1], p.buf)
		}
		p.lane.turn()
	}
	if s.left > 0 {
		t.Errorf("%d bytes are stuck", s.left)
	}
}

// answerer owes a byte for each that it is fed.
type answerer struct{ due }

func (a *answerer) Feed(b []byte) error { a.left += len(b); return nil }

// Who asks and half-closes gets its answer, in a busy group as in an idle one.
func TestHalfClosedInACircle(t *testing.T) {
	p := inCircle(t)
	c := p.group.members[1]
	c.session = &answerer{due{frame: []byte("answer")}}
	p.lane.loop.running.Add(1)
	unix.Read(p.peers[1], p.buf)
	p.write(t, 1)
	p.lane.turn()
	unix.Shutdown(p.peers[1], unix.SHUT_WR)
	for p.lane.turn() {
	}
	if n, err := unix.Read(p.peers[1], p.buf); n != 1 || err != nil || !c.gone {
		t.Errorf("it reads %d, %v, want 1 byte; gone %v", n, err, c.gone)
	}
}

// Who says something and goes is forgotten, though the group is never quiet.
func TestGoneAndOwed(t *testing.T) {
	p := newPass(t, 3*maxVisits)
	for i := range 2 * maxVisits {
		p.lane.loop.running.Add(1)
		c := p.lane.slots[i].conn
		p.group.Wake()
		p.write(t, i)
		p.lane.turn()
		unix.Shutdown(p.peers[i], unix.SHUT_WR)
		p.group.Wake()
		p.lane.turn()
		if !c.gone {
			t.Fatalf("member %d is not gone", i)
		}
	}
	for range 3 * len(p.peers) / maxVisits { // more than the round that is under way and another
		p.group.Wake()
		p.lane.turn()
	}
	for _, c := range slices.Concat(p.group.asked, p.group.owed) {
		if c != nil {
			t.Fatal("the group still knows who is gone")
		}
	}
}

// endless is a session that always has something due, and counts its writes.
type endless struct {
	due
	writes int
}

func (e *endless) Due(bufs [][]byte) ([][]byte, error) { return append(bufs, e.frame), nil }
func (e *endless) Wrote(int)                           { e.writes++ }

// However much there is, and whoever sends meanwhile, everybody gets the same.
func TestRoundsAreFair(t *testing.T) {
	p := newPass(t, 3*maxVisits)
	var all []*endless
	for _, c := range p.group.members {
		e := &endless{due: due{frame: []byte("frame")}}
		c.session = e
		all = append(all, e)
	}
	for range 60 {
		p.group.Wake()
		p.write(t, 1)
		p.lane.turn()
	}
	fewest, most := all[1].writes, all[1].writes
	for _, e := range all {
		fewest, most = min(fewest, e.writes), max(most, e.writes)
	}
	if fewest == 0 || most-fewest > maxWrites {
		t.Errorf("between %d and %d writes to each, want no more than a round's %d between them; %d to the sender", fewest, most, maxWrites, all[1].writes)
	}
}

// piecewise is a session with some large frames due, of which it hands out one at a time. It notes who has got one.
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
