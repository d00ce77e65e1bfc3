package loop

import "sync/atomic"

// A group is the connections of a lane that follow one key. It is woken once for all of them,
// and asks them in rounds what is due: a circle over all members if it has been woken since the
// last one began, otherwise those only who are owed something. The longer a round takes, the
// more there is for each, in the same number of writes.
//
// Nobody is asked twice in a round, nor beside it, but for who has something posted, such as a
// newcomer, and whose socket takes more again. Who sends would be answered at once, send more,
// and run ahead of the room; and of what is large everybody gets one piece, while it is in the
// processor's caches, before anybody gets the next.
type group struct {
	lane  *lane       // immutable
	key   any         // immutable
	woken atomic.Bool // since the lane has last noted it

	// Owned by the lane.
	members []*laneConn
	walking bool        // among the lane's walks: a round is under way
	next    int         // behind it the circle goes on
	left    int         // to be visited before everybody has been
	again   bool        // when the group was last woken the circle had passed some
	asked   []*laneConn // to be asked in this round, of them those who are still owed something
	asking  int         // the next of them
	owed    []*laneConn // the same for the next round, if there is no circle
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
	g.again = g.left < len(g.members)
	if !g.walking && g.again {
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
		case g.left > 0:
			g.left--
			if g.next++; g.next >= len(g.members) {
				g.next = 0
			}
			c := g.members[g.next]
			c.owed = false
			return c
		case g.asking < len(g.asked):
			c := g.asked[g.asking]
			g.asked[g.asking] = nil
			g.asking++
			if c.owed {
				c.owed = false
				return c
			}
		case g.again: // who is owed something is among the members
			g.left, g.again = len(g.members), false
			clear(g.owed)
			g.owed = g.owed[:0]
		case len(g.owed) > 0:
			g.asked, g.asking, g.owed = g.owed, 0, g.asked[:0]
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
	if g.left > 0 && last != c { // it may stand now where a circle under way has been
		last.Wake()
	}
	g.left = min(g.left, end)
	if end == 0 {
		delete(c.lane.groups, g.key)
	}
}
