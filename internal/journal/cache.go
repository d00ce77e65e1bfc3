package journal

import "github.com/doyasa/doyasa/hub"

// cacheBytes bounds the messages held in memory, all rooms together.
const cacheBytes = 32 << 20

// A cache holds the messages last stored or read, so that a crowd that joins reads the
// disk once.
type cache struct {
	queue []cached // oldest first
	bytes int
}

type cached struct {
	room *room
	seq  uint64
	size int
}

func (c *cache) add(r *room, m *hub.Message) {
	e := r.at(m.Seq)
	if e == nil || e.message != nil {
		return
	}
	e.message = m
	c.queue = append(c.queue, cached{r, m.Seq, m.Size()})
	c.bytes += m.Size()
	for c.bytes > cacheBytes {
		oldest := c.queue[0]
		c.queue = c.queue[1:]
		c.bytes -= oldest.size
		if e := oldest.room.at(oldest.seq); e != nil {
			e.message = nil
		}
	}
}
