package server

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// A handshake takes some twenty times of the memory that its connection keeps, so after a
// storm of them, such as everybody's return after a deploy, a heap has been grown that is
// not needed again. The runtime would go on holding it.
const (
	storm      = 500              // handshakes after which it is worth a collection to give memory back
	stormCheck = 10 * time.Second // how often we look whether it is over
	breeze     = storm / 20       // handshakes in that time which are no storm
)

// settling gives memory back to the system after a storm. The zero value is ready.
type settling struct {
	handshakes atomic.Int64 // since memory was last given back
	watched    atomic.Bool  // there is a timer that looks at them
}

// note counts a handshake, in any goroutine.
func (s *settling) note() {
	if n := s.handshakes.Add(1); n >= storm && !s.watched.Swap(true) {
		s.lookAgain(n)
	}
}

// lookAgain waits until there have been hardly more handshakes than seen.
func (s *settling) lookAgain(seen int64) {
	time.AfterFunc(stormCheck, func() {
		if n := s.handshakes.Load(); n-seen > breeze {
			s.lookAgain(n)
			return
		}
		s.handshakes.Store(0)
		s.watched.Store(false)
		runtime.GC()         // after it, the pools of net/http are still there, and the stacks of its goroutines are set free
		debug.FreeOSMemory() // now they are not
	})
}
