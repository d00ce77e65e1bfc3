package server

import "sync"

// Bounds on pages of history that have been asked for and are not yet taken: bytes, of all and of one address. Each waits in
// memory until its reader, who may not read at all, has it, or writing it has taken too long.
const (
	maxAnswering        = 64 << 20
	maxAnsweringAddress = 16 << 20
)

// answering is what is on its way to those who asked. It may be used from any goroutine; the zero value is ready.
type answering struct {
	mu   sync.Mutex
	all  int             // guarded by mu
	each map[network]int // guarded by mu: of them, by address
}

// begin tells whether n more bytes may be on their way to an address; then end must follow. The first answer to one may be as
// large as it is.
func (a *answering) begin(to network, n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.each[to]; held > 0 && held+n > maxAnsweringAddress || a.all > 0 && a.all+n > maxAnswering {
		return false
	}
	if a.each == nil {
		a.each = make(map[network]int)
	}
	a.all += n
	a.each[to] += n
	return true
}

// end undoes begin.
func (a *answering) end(to network, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all -= n
	if a.each[to] -= n; a.each[to] == 0 {
		delete(a.each, to)
	}
}
