package loop

// Stats has the current figures of a loop, and what the loop has moved since it began.
type Stats struct {
	Connections int // open now
	Blocked     int // connections whose socket was full after the last write

	Reads        int64 // reads that returned bytes
	ReadBytes    int64
	Writes       int64 // system calls that wrote bytes
	WrittenBytes int64
}

// add adds the bytes and calls of one connection.
func (s *Stats) add(c *traffic) {
	s.Reads += c.reads.Load()
	s.ReadBytes += c.readBytes.Load()
	s.Writes += c.writes.Load()
	s.WrittenBytes += c.writtenBytes.Load()
}

// plus adds the statistics of another loop.
func (s *Stats) plus(o Stats) {
	s.Connections += o.Connections
	s.Blocked += o.Blocked
	s.Reads += o.Reads
	s.ReadBytes += o.ReadBytes
	s.Writes += o.Writes
	s.WrittenBytes += o.WrittenBytes
}
