package loop

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Members that join or leave during a sweep do not begin it anew: with many of them the lane would sweep without end. All members are
// flushed all the same.
func TestChangesDoNotBeginASweepAnew(t *testing.T) {
	const members, moving = 1000, 200
	for _, tt := range []struct {
		name     string
		from, to string
	}{{"joining", "elsewhere", "room"}, {"leaving", "room", "elsewhere"}} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPass(t, members+moving)
			var movers []*laneConn
			for i := range moving { // from all parts of the group
				c := p.lane.slots.all[i*(members+moving)/moving].conn
				c.Follow(tt.from)
				movers = append(movers, c)
			}
			p.deliver()
			p.publish()
			p.lane.groups["room"].Wake()
			turns := 0
			for ; turns == 0 || !p.lane.sweeps.empty(); turns++ {
				if len(movers) > 0 {
					c := movers[0]
					movers = movers[1:]
					c.Post(func() { c.Follow(tt.to) })
				}
				p.lane.turn()
			}
			if most := (members+moving)/maxPerTurn + 10; turns > most {
				t.Errorf("a sweep took %d turns, want at most %d", turns, most)
			}
			for p.lane.turn() {
			}
			for _, c := range p.lane.groups["room"].members {
				if c.session.(*due).left > 0 {
					t.Errorf("the member at %d has not been flushed", c.place)
				}
			}
		})
	}
}

// inSweep returns a pass whose sweep has flushed some members, among them the one called done, and not yet the one called last.
func inSweep(t *testing.T) (p *pass, done, last int) {
	p = newPass(t, 3*maxPerTurn)
	p.publish()
	p.group.Wake()
	p.lane.turn()
	done, last = len(p.sessions)-2, 0
	if p.sessions[done].left > 0 || p.sessions[last].left == 0 {
		t.Fatal("one turn has not flushed one part of the members")
	}
	return p, done, last
}

// write sends a byte from the peer of a member.
func (p *pass) write(t *testing.T, member int) {
	if _, err := unix.Write(p.peers[member], []byte("x")); err != nil {
		t.Fatal(err)
	}
}

// conn returns the connection of a member.
func (p *pass) conn(member int) *laneConn { return p.lane.slots.all[member].conn }

// A member that a sweep has flushed gets nothing more before the sweep ends, whatever happens to it, and afterwards everything: what the
// whole group was woken for, and what is for this member alone.
func TestNobodyOutOfTurn(t *testing.T) {
	for _, tt := range []struct {
		name string
		wake func(p *pass, member int)
	}{
		{"it has sent something", func(p *pass, member int) { p.write(t, member) }},
		{"it has been woken", func(p *pass, member int) { p.conn(member).Wake() }},
		{"there is more for all", func(p *pass, member int) { p.publish(); p.write(t, member); p.group.Wake() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, done, last := inSweep(t)
			s := p.sessions[done]
			s.left = len(s.frame)
			tt.wake(p, done)
			p.lane.turn()
			if s.left == 0 || p.sessions[last].left == 0 {
				t.Errorf("it has %d bytes due, and the last of the sweep %d", s.left, p.sessions[last].left)
			}
			for p.lane.turn() {
			}
			for i, s := range p.sessions {
				if s.left > 0 {
					t.Errorf("member %d has not been flushed", i)
				}
			}
		})
	}
}

// A member that moves to another group while it is on the retry list is flushed there.
func TestMoveFromTheRetryList(t *testing.T) {
	p, done, _ := inSweep(t)
	s := p.sessions[done]
	s.left = len(s.frame)
	p.write(t, done)
	p.lane.turn()
	p.conn(done).Follow("elsewhere")
	for p.lane.turn() {
	}
	if s.left > 0 {
		t.Error("it has not been flushed")
	}
}

// A member that moves to another group before the sweep has come to it is flushed there.
func TestMoveBeforeTheSweepCame(t *testing.T) {
	p, _, last := inSweep(t)
	p.conn(last).Follow("elsewhere")
	for p.lane.turn() {
	}
	if p.sessions[last].left > 0 {
		t.Error("it has not been flushed")
	}
}

// A member whose socket is full when the sweep comes to it is served when the socket takes more, even if sweep follows sweep.
func TestBlockedInASweep(t *testing.T) {
	p := newPass(t, 3*maxPerTurn)
	s, c := p.sessions[1], p.conn(1)
	s.frame = make([]byte, 4<<20)
	s.left = len(s.frame)
	c.Wake()
	p.lane.turn()
	if !c.blocked() {
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

// answerer answers each byte with one.
type answerer struct{ due }

func (a *answerer) Feed(b []byte) error { a.left += len(b); return nil }

// A peer that asks and half-closes gets its answer, also while its group is being swept.
func TestHalfClosedInASweep(t *testing.T) {
	p, done, _ := inSweep(t)
	c := p.conn(done)
	c.session = &answerer{due{frame: []byte("answer")}}
	p.lane.loop.running.Add(1)
	unix.Read(p.peers[done], p.buf)
	p.write(t, done)
	p.lane.turn()
	unix.Shutdown(p.peers[done], unix.SHUT_WR)
	for p.lane.turn() {
	}
	if n, err := unix.Read(p.peers[done], p.buf); n != 1 || err != nil || c.phase != ended {
		t.Errorf("it reads %d, %v, want 1 byte; phase %v, want ended", n, err, c.phase)
	}
}

// A member that says something and leaves is forgotten, although its group is never quiet.
func TestGoneFromTheRetryList(t *testing.T) {
	p := newPass(t, 3*maxPerTurn)
	for i := range 2 * maxPerTurn {
		p.lane.loop.running.Add(1)
		c := p.conn(i)
		p.group.Wake()
		p.write(t, i)
		p.lane.turn()
		unix.Shutdown(p.peers[i], unix.SHUT_WR)
		p.group.Wake()
		p.lane.turn()
		if c.phase != ended {
			t.Fatalf("member %d has not ended", i)
		}
		if all := p.group.members[:cap(p.group.members)]; slices.Contains(all, c) {
			t.Fatalf("the group still knows member %d", i)
		}
	}
}

// An endless session always has something due, and counts its writes.
type endless struct {
	due
	writes int
}

func (e *endless) Due(bufs [][]byte) ([][]byte, error) { return append(bufs, e.frame), nil }
func (e *endless) Wrote(int)                           { e.writes++ }

// However much is due, and whatever a member sends meanwhile, all members get the same.
func TestSweepsAreFair(t *testing.T) {
	p := newPass(t, 3*maxPerTurn)
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
		t.Errorf("between %d and %d writes to each, want no more than a sweep's %d between them; %d to the sender", fewest, most, maxWrites, all[1].writes)
	}
}

// A piecewise session has some large frames due, and hands out one at a time. It notes in got that it was written.
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

// A large frame is written to all members before any of them gets the next one.
func TestLargeFramesInSweeps(t *testing.T) {
	p := newPass(t, 2*maxPerTurn)
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
		sweep := slices.Sorted(slices.Values(got[:len(p.group.members)]))
		if len(slices.Compact(sweep)) != len(p.group.members) {
			t.Fatal("a member has got two frames before all had got one")
		}
		got = got[len(p.group.members):]
	}
}
