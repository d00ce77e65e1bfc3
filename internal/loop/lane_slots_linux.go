package loop

// slots are the places of a lane's connections. Epoll reports each event with the number and the
// generation of a slot. The generation changes whenever a connection leaves the slot. So an old
// event cannot reach a new connection in the same slot.
type slots struct {
	all  []slot
	free uint32 // the number of the first free slot plus one, or 0 if none is free; slot.free links the free slots
}

type slot struct {
	conn       *laneConn // nil if the slot is free
	generation uint32
	free       uint32 // if the slot is free, the next free slot, encoded as in slots.free
}

// add gives c a slot.
func (s *slots) add(c *laneConn) {
	if s.free == 0 {
		c.slot = uint32(len(s.all))
		s.all = append(s.all, slot{conn: c})
		return
	}
	c.slot = s.free - 1
	place := &s.all[c.slot]
	s.free, place.free = place.free, 0
	place.conn = c
}

// remove frees c's slot.
func (s *slots) remove(c *laneConn) {
	place := &s.all[c.slot]
	place.conn = nil
	place.generation++
	s.free, place.free = c.slot+1, s.free
}

// generation returns the generation of c's slot.
func (s *slots) generation(c *laneConn) uint32 { return s.all[c.slot].generation }

// find returns the connection that has this slot with this generation, or nil.
func (s *slots) find(number, generation uint32) *laneConn {
	if place := &s.all[number]; place.generation == generation {
		return place.conn
	}
	return nil
}
