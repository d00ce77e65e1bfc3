package loop

import "sync/atomic"

// A group is the connections of a lane that follow one key. It is woken once for all of them,
// and visits them in a circle: a connection is asked what is due once all others that were
// waiting have been asked, however often the group is woken meanwhile. The longer a circle
// takes, the more there is for each, in the same number of writes.
//
// While a circle lasts nobody is asked out of turn. Who sends would be answered at once, send
// more, and so run ahead of the room, which would never see the end of it; and what is large is
// written to everybody while it is in the processor's caches, before the next is.
type group struct {
	lane  *lane       // immutable
	key   any         // immutable
	woken atomic.Bool // since the lane has last begun a circle

	// Owned by the lane.
	members []*laneConn
	next    int         // to be visited
	left    int         // to be visited before everybody has been
	walking bool        // among the lane's walks
	owed    []*laneConn // to be asked behind the circle, in this order
}

// Wake implements Waker, for any goroutine.
func (g *group) Wake() {
	if !g.woken.Swap(true) {
		g.lane.put(task{group: g})
	}
}

// begin starts a circle, at the place where the last one stopped.
func (g *group) begin() {
	g.woken.Store(false) // first: what wakes from here on may be missed by some
	g.left = len(g.members)
	if !g.walking && g.left > 0 {
		g.walking = true
		g.lane.walks = append(g.lane.walks, g)
	}
}

// owe asks a connection once everybody has been visited. Called during a circle.
func (g *group) owe(c *laneConn) {
	if !c.owed {
		c.owed = true
		g.owed = append(g.owed, c)
	}
}

// over tells whether nobody is left to be asked.
func (g *group) over() bool { return g.left == 0 && len(g.owed) == 0 }

// step returns who is to be asked next.
func (g *group) step() *laneConn {
	if g.left > 0 {
		g.left--
		if g.next++; g.next >= len(g.members) {
			g.next = 0
		}
		return g.members[g.next]
	}
	c := g.owed[0]
	g.owed[0] = nil
	g.owed = g.owed[1:]
	c.owed = false
	return c
}

// visit goes on with the circles of all groups that have been woken, one after the other, up
// to the number of connections that are visited in one turn.
func (l *lane) visit() bool {
	busy := len(l.walks) > 0
	for budget := maxVisits; budget > 0 && len(l.walks) > 0; {
		g := l.walks[0]
		for ; budget > 0 && !g.over(); budget-- {
			if c := g.step(); !c.blocked {
				l.current = c
				c.flush()
				if c.paused {
					c.attend()
				}
				l.current = nil
			}
		}
		copy(l.walks, l.walks[1:])
		last := len(l.walks) - 1
		if !g.over() {
			l.walks[last] = g // the others come first
			continue
		}
		g.walking, g.owed = false, nil
		l.walks[last] = nil
		l.walks = l.walks[:last]
	}
	return busy
}

// Follow implements Conn.
func (c *laneConn) Follow(key any) Waker {
	l := c.lane
	c.unfollow()
	g := l.groups[key]
	if g == nil {
		g = &group{lane: l, key: key}
		l.groups[key] = g
	}
	c.group, c.place = g, int32(len(g.members))
	g.members = append(g.members, c)
	if g.left > 0 { // or a circle under way would leave out the last
		g.left++
	}
	return g
}

// unfollow leaves the group, which ends with its last member.
func (c *laneConn) unfollow() {
	g := c.group
	if g == nil {
		return
	}
	c.group = nil
	if c.owed {
		c.owed = false
		c.Wake()
	}
	end := len(g.members) - 1
	last := g.members[end]
	g.members[c.place], last.place = last, c.place
	g.members[end] = nil
	g.members = g.members[:end]
	if g.left > 0 && last != c { // it may stand now where a circle under way has been
		last.Wake()
	}
	g.left = min(g.left, end)
	if end == 0 {
		delete(c.lane.groups, g.key)
	}
}
