package loop

import "sync/atomic"

// A group is the connections of a lane that follow one key. Its Waker wakes all of them with one
// task: the lane then sweeps the group, which means that it flushes each member once.
//
//	members:  [ f  b  c | h  a | g  d  e ]
//	             sweep    retry   idle
//	                   ^      ^
//	            sweepEnd      retryEnd
//
//	sweep   the sweep in progress will flush them, beginning with the last one
//	retry   the retry list: flushed once the sweep in progress has ended
//	idle    not flushed until somebody wakes the member or the group
//
// Only the position of a connection in members tells in which of the three parts it is. There is no
// separate flag that could contradict the position, so no connection can be forgotten. A connection
// moves to another part by changing places with the connection at the border.
//
// When the sweep part is empty, the next sweep begins. If the group was woken after this sweep had
// begun, the next sweep is of all members. Otherwise it is of the retry list. If that is empty too,
// the group is quiet.
//
// Within a sweep each connection is flushed at most once, unless it has posted work or its socket
// became writable. Otherwise a member that keeps sending would be served ahead of the others. It
// also means that a large frame is sent to everybody while it is in the CPU cache. If a sweep takes
// longer, more bytes are due to each member, but they are written with the same number of system
// calls.
type group struct {
	lane  *lane       // immutable
	key   any         // immutable
	woken atomic.Bool // a task for this group is queued; wake runs as that task and clears this

	// Owned by the lane.
	members  []*laneConn
	sweepEnd int    // members[:sweepEnd] is the sweep part
	retryEnd int    // members[sweepEnd:retryEnd] is the retry list
	again    bool   // the next sweep is of all members, not of the retry list alone
	next     *group // the next group in the queue lane.sweeps; nil if this group is quiet
}

// Wake implements Waker, for any goroutine.
func (g *group) Wake() {
	if !g.woken.Swap(true) {
		g.lane.put(task{group: g})
	}
}

// wake runs on the lane after Wake. The group needs another sweep, unless the sweep in progress has
// not flushed any member yet.
func (g *group) wake() {
	g.woken.Store(false) // before any flush, so that bytes that a flush misses wake the group again
	g.again = g.sweepEnd < len(g.members)
	if g.again && g.next == nil {
		g.lane.sweeps.push(g)
	}
}

// take returns the member to flush next, and makes it idle. It returns nil if the group is quiet.
func (g *group) take() *laneConn {
	for g.sweepEnd == 0 {
		switch {
		case g.again:
			g.again = false
			g.sweepEnd, g.retryEnd = len(g.members), len(g.members)
		case g.retryEnd > 0:
			g.sweepEnd = g.retryEnd
		default:
			return nil
		}
	}
	g.sweepEnd--
	g.retryEnd--
	c := g.members[g.sweepEnd]
	g.exchange(c, g.retryEnd)
	return c
}

// retry adds c to the retry list, unless it is in the sweep part or on the list already.
func (g *group) retry(c *laneConn) {
	if g.idle(c) {
		g.exchange(c, g.retryEnd)
		g.retryEnd++
	}
}

// idle tells whether c is neither in the sweep part nor on the retry list.
func (g *group) idle(c *laneConn) bool { return int(c.place) >= g.retryEnd }

// makeIdle moves c to the idle part.
func (g *group) makeIdle(c *laneConn) {
	if int(c.place) < g.sweepEnd {
		g.sweepEnd--
		g.exchange(c, g.sweepEnd)
	}
	if int(c.place) < g.retryEnd {
		g.retryEnd--
		g.exchange(c, g.retryEnd)
	}
}

// exchange moves c to a place in members, and moves the member at that place to the place of c.
func (g *group) exchange(c *laneConn, place int) {
	if other := g.members[place]; other != c {
		g.members[c.place], g.members[place] = other, c
		other.place, c.place = c.place, int32(place)
	}
}

// add makes c an idle member.
func (g *group) add(c *laneConn) {
	c.group, c.place = g, int32(len(g.members))
	g.members = append(g.members, c)
}

// remove ends c's membership. A group without members ends.
func (g *group) remove(c *laneConn) {
	g.makeIdle(c)
	last := len(g.members) - 1
	g.exchange(c, last)
	g.members[last] = nil
	g.members = g.members[:last]
	c.group = nil
	if last == 0 {
		delete(g.lane.groups, g.key)
	}
}

// Follow implements Conn.
func (c *laneConn) Follow(key any) Waker {
	c.unfollow()
	l := c.lane
	g := l.groups[key]
	if g == nil {
		g = &group{lane: l, key: key}
		l.groups[key] = g
	}
	g.add(c)
	return g
}

// unfollow removes the connection from its group. If the group's sweep would have flushed the
// connection, a task does so instead.
func (c *laneConn) unfollow() {
	g := c.group
	if g == nil {
		return
	}
	if !g.idle(c) && c.phase.serves() {
		c.Wake()
	}
	g.remove(c)
}

// waits tells whether the sweep of the connection's group will flush it.
func (c *laneConn) waits() bool { return c.group != nil && !c.group.idle(c) }

// flushInTurn flushes the connection. If its group is being swept, the other members are flushed
// first.
func (c *laneConn) flushInTurn() {
	if g := c.group; g != nil && g.next != nil && !c.blocked() {
		g.retry(c)
		return
	}
	c.flush()
}

// sweeps is a queue of the groups that are being swept. It is a ring, linked by group.next from the
// last group to the first one. So a group is queued exactly if its next is not nil.
type sweeps struct {
	last *group
}

func (s *sweeps) empty() bool { return s.last == nil }

func (s *sweeps) first() *group { return s.last.next }

// push queues a quiet group.
func (s *sweeps) push(g *group) {
	if s.last == nil {
		g.next = g
	} else {
		g.next, s.last.next = s.last.next, g
	}
	s.last = g
}

// rotate makes the first group the last.
func (s *sweeps) rotate() { s.last = s.last.next }

// pop takes out the first group.
func (s *sweeps) pop() {
	g := s.last.next
	if g == s.last {
		s.last = nil
	} else {
		s.last.next = g.next
	}
	g.next = nil
}

// sweep continues the sweeps of all woken groups, one group after the other, until it has flushed
// as many members as one turn allows.
func (l *lane) sweep() bool {
	busy := !l.sweeps.empty()
	for budget := l.perTurn; budget > 0 && !l.sweeps.empty(); {
		g := l.sweeps.first()
		quiet := false
		for ; budget > 0 && !quiet; budget-- {
			if c := g.take(); c == nil {
				quiet = true
			} else if !c.blocked() {
				l.current = c
				c.flush()
				if c.interest&readable == 0 { // the session was paused, and may not be any more
					c.updateInterest()
				}
				l.current = nil
			}
		}
		if quiet {
			l.sweeps.pop()
		} else {
			l.sweeps.rotate() // the other groups get their turn before this group continues
		}
	}
	return busy
}
