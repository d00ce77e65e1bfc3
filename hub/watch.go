package hub

import "sync"

// A Waker is woken when a log has grown. The hub goroutine calls Wake, which must not block
// and must not call the hub. The Waker's type must be usable as the key of a map. A pointer
// is, for example.
type Waker = interface{ Wake() }

// watchers are the Wakers of a log, each with the number of members that it watches for. When
// a member joins, its Owner becomes its watcher. [Member.Watch] replaces it with another Waker.
type watchers struct {
	mu    sync.Mutex
	count map[Waker]int // guarded by mu
}

// wake wakes each Waker once.
func (ws *watchers) wake() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.count {
		w.Wake()
	}
}

// set makes w the watcher of m. A nil w removes the watcher for good, because m has left.
func (ws *watchers) set(m *Member, w Waker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if m.gone {
		return
	}
	if m.watcher != nil {
		if ws.count[m.watcher]--; ws.count[m.watcher] == 0 {
			delete(ws.count, m.watcher)
		}
	}
	m.watcher, m.gone = w, w == nil
	if w == nil {
		return
	}
	if ws.count == nil {
		ws.count = make(map[Waker]int)
	}
	ws.count[w]++
}
