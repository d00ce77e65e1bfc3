package loop

import "sync/atomic"

// A group is the connections of a lane that follow one key. It is woken once for all of them,
// and visits them in a circle: a connection is asked what is due once all others that were
// waiting have been asked, however often the group is woken meanwhile. The longer a circle
// takes, the more there is for each, in the same number of writes.
//
// Whom a circle has passed gets nothing more before it is over: who sends would be answered at
// once, send more, and run ahead of the room; and of what is large everybody gets one piece,
// while it is in the processor's caches, before anybody gets the next. So there are rounds: first
// those who are owed something since the last one, then a circle.
type group struct {
	lane  *lane       // immutable
	key   any         // immutable
	woken atomic.Bool // since the lane has last noted it

	// Owned by the lane.
	members []*laneConn
	next    int         // behind it the circle goes on
	left    int         // to be visited in this round
	passed  int         // to be visited in the next one: when the group was woken they had been passed
	walking bool        // among the lane's walks
	asked   []*laneConn // are owed something since the last round, some of them no more
	asking  int         // the next of them
	owed    []*laneConn // the same, since this round has begun
}

// Wake implements Waker, for any goroutine.
func (g *group) Wake() {
	if !g.woken.Swap(true) {
		g.lane.put(task{group: g})
	}
}

// begin has everybody visited, beginning where the last circle stands or stopped.
func (g *group) begin() {
	g.woken.Store(false) // first: what wakes from here on may be missed by some
	g.passed = len(g.members) - g.left
	if !g.walking && g.passed > 0 {
		g.walking = true
		g.lane.walks = append(g.lane.walks, g)
	}
}

// owe has a connection asked in the next round. Called during one.
func (g *group) owe(c *laneConn) {
	if !c.owed {
		c.owed = true
		g.owed = append(g.owed, c)
	}
}

// step returns who is to be asked next, nil if nobody.
func (g *group) step() *laneConn {
	for {
		switch {
		case g.asking < len(g.asked):
			c := g.asked[g.asking]
			g.asked[g.asking] = nil
			g.asking++
			if c.owed {
				c.owed = false
				return c
			}
		case g.left > 0:
			g.left--
			if g.next++; g.next >= len(g.members) {
				g.next = 0
			}
			c := g.members[g.next]
			c.owed = false
			return c
		case len(g.owed) > 0 || g.passed > 0:
			g.asked, g.asking, g.owed = g.owed, 0, g.asked[:0]
			g.left, g.passed = g.passed, 0
		default:
			return nil
		}
	}
}

// visit goes on with the rounds of all groups that have been woken, one after the other, up to
// the number of connections that are visited in one turn.
func (l *lane) visit() bool {
	busy := len(l.walks) > 0
	for budget := maxVisits; budget > 0 && len(l.walks) > 0; {
		g := l.walks[0]
		over := false
		for ; budget > 0 && !over; budget-- {
			if c := g.step(); c == nil {
				over = true
			} else if !c.blocked {
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
		if !over {
			l.walks[last] = g // the others come first
			continue
		}
		g.walking = false
		l.walks[last] = nil
		l.walks = l.walks[:last]
	}
	return busy
}

// ask writes what is due to a connection, or leaves it to the next round if there are rounds.
func (c *laneConn) ask() {
	if g := c.group; g != nil && g.walking && !c.blocked {
		g.owe(c)
		return
	}
	c.flush()
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
	if g.passed > 0 {
		g.passed++
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
	if c.owed { // there
		c.owed = false
		if !c.gone {
			c.Wake()
		}
	}
	end := len(g.members) - 1
	last := g.members[end]
	g.members[c.place], last.place = last, c.place
	g.members[end] = nil
	g.members = g.members[:end]
	if g.left+g.passed > 0 && last != c { // it may stand now where a circle under way has been
		last.Wake()
	}
	g.left, g.passed = min(g.left, end), min(g.passed, end)
	if end == 0 {
		delete(c.lane.groups, g.key)
	}
}
