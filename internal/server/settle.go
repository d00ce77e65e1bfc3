package server

import (
	"runtime"
	"runtime/debug"
	"sync"
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
	gale       = 10 * storm       // handshakes in that time for which it is worth to collect less
)

// The percentages of garbage to what lives at which it is collected. In a gale what lives would be
// marked so often that it is a seventh of each handshake, of which nearly all is garbage.
const (
	usualGC = 100 // the runtime's default
	galeGC  = 400
)

// gales are those of all servers in this process, which has one collector.
var gales struct {
	sync.Mutex
	count int // under way
}

// collectLess lets more garbage gather until what it returns is called, unless somebody has set
// how much there may be.
func collectLess() (asUsual func()) {
	change := func(by, from, to int) {
		gales.Lock()
		defer gales.Unlock()
		before := gales.count
		gales.count += by
		if before+gales.count == 1 { // the first begins, or the last is over
			if was := debug.SetGCPercent(to); was != from {
				debug.SetGCPercent(was)
			}
		}
	}
	change(1, usualGC, galeGC)
	return sync.OnceFunc(func() { change(-1, galeGC, usualGC) })
}

// settling gives memory back to the system after a storm. The zero value is ready.
type settling struct {
	handshakes atomic.Int64 // since memory was last given back
	watched    atomic.Bool  // there is a timer that looks at them
}

// note counts a handshake, in any goroutine.
func (s *settling) note() {
	if n := s.handshakes.Add(1); n >= storm && !s.watched.Swap(true) {
		s.lookAgain(n, collectLess())
	}
}

// lookAgain waits until there have been hardly more handshakes than seen; collecting is as usual
// before, once they are few enough for that.
func (s *settling) lookAgain(seen int64, asUsual func()) {
	time.AfterFunc(stormCheck, func() {
		n := s.handshakes.Load()
		if n-seen < gale {
			asUsual()
		}
		if n-seen > breeze {
			s.lookAgain(n, asUsual)
			return
		}
		s.handshakes.Store(0)
		s.watched.Store(false)
		runtime.GC()         // after it, the pools of net/http are still there, and the stacks of its goroutines are set free
		debug.FreeOSMemory() // now they are not
	})
}
