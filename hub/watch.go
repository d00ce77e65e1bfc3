package hub

import "sync"

// A Waker is woken when a log has grown. Wake is called from the hub goroutine, must not
// block, and must not call back into the hub. It is a type that can be a map's key, such as a
// pointer.
type Waker = interface{ Wake() }

// watchers are whom a log wakes, and for how many members each. A member's own Owner watches
// from its join on; [Member.Watch] lets somebody else stand in for it.
type watchers struct {
	mu    sync.Mutex
	count map[Waker]int // guarded by mu
}

// wake tells each of them once.
func (ws *watchers) wake() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.count {
		w.Wake()
	}
}

// set makes w the watcher of m, nil none.
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
