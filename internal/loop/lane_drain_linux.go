package loop

import "time"

// drains are the connections of a lane that discard what the peer still sends, the first to end first. The lane owns them. All of
// them have the same time, so the order in which they began is the order in which they end. One runtime timer serves all of them.
type drains struct {
	next  *time.Timer // wakes the lane when the first one's time is over
	queue []drain
}

// A drain is a connection, and when its time for draining is over. The connection may have ended earlier.
type drain struct {
	end  time.Time
	conn *laneConn
}

// init sets the function that wakes the lane.
func (ds *drains) init(wake func()) {
	ds.next = time.AfterFunc(time.Hour, wake)
	ds.next.Stop()
}

func (ds *drains) add(c *laneConn) {
	if len(ds.queue) == 0 {
		ds.next.Reset(drainTimeout)
	}
	ds.queue = append(ds.queue, drain{time.Now().Add(drainTimeout), c})
}

// over removes and returns the first connection if its time is over. Otherwise it sets the runtime timer for that moment.
func (ds *drains) over() *laneConn {
	if len(ds.queue) == 0 {
		ds.queue = nil // the array may be that of many connections that ended together
		return nil
	}
	if wait := time.Until(ds.queue[0].end); wait > 0 {
		ds.next.Reset(wait)
		return nil
	}
	c := ds.queue[0].conn
	ds.queue[0] = drain{}
	ds.queue = ds.queue[1:]
	return c
}

// endDrains ends the connections whose time for draining is over, and tells whether there were any.
func (l *lane) endDrains() bool {
	busy := false
	for c := l.drains.over(); c != nil; c = l.drains.over() {
		busy = true
		if c.phase.discards() {
			c.endDrained()
		}
	}
	return busy
}
