package loop

// Stats is what a loop holds and has moved. What is counted in all only grows.
type Stats struct {
	Connections int // now
	Blocked     int // of them, those whose socket has taken nothing since it was last written to

	Reads        int64 // that brought something
	ReadBytes    int64
	Writes       int64 // calls of the kernel's that took something
	WrittenBytes int64
}

// add counts what another connection has moved.
func (s *Stats) add(c *traffic) {
	s.Reads += c.reads.Load()
	s.ReadBytes += c.readBytes.Load()
	s.Writes += c.writes.Load()
	s.WrittenBytes += c.writtenBytes.Load()
}

// plus adds what another loop holds and has moved.
func (s *Stats) plus(o Stats) {
	s.Connections += o.Connections
	s.Blocked += o.Blocked
	s.Reads += o.Reads
	s.ReadBytes += o.ReadBytes
	s.Writes += o.Writes
	s.WrittenBytes += o.WrittenBytes
}
