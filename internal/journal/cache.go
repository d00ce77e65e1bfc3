package journal

import "github.com/doyasa/doyasa/hub"

// cacheBytes bounds the messages held in memory, all rooms together.
const cacheBytes = 32 << 20

// A cache holds the messages that were stored or read last, so that many members who join at once need only one read of the disk. It is
// guarded by Journal.mu.
type cache struct {
	queue []cached // oldest first
	bytes int
}

type cached struct {
	room *room
	seq  uint64
	size int
}

// add keeps a message in memory, unless a limit has removed it from the room meanwhile.
func (c *cache) add(r *room, m *hub.Message) {
	e := r.keptAt(m.Seq)
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
		if e := oldest.room.keptAt(oldest.seq); e != nil {
			e.message = nil
		}
	}
}
