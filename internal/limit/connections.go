package limit

import "sync"

// Connections counts the open connections, in total and for each address. It may be used from any
// goroutine.
type Connections struct {
	max, maxPerAddress int // immutable; maxPerAddress 0: no limit

	mu   sync.Mutex
	all  int             // guarded by mu
	each map[Network]int // guarded by mu: the count for each address; nil if addresses have no limit
}

// NewConnections returns a count with these limits. A maxPerAddress of 0 means no limit.
func NewConnections(max, maxPerAddress int) *Connections {
	return &Connections{max: max, maxPerAddress: maxPerAddress, each: make(map[Network]int)}
}

// A Verdict is the outcome of Reserve.
type Verdict int

// The Verdicts.
const (
	Reserved    Verdict = iota
	Full                // the limit of all connections is reached
	AddressFull         // the limit of connections from this address is reached
)

// Reserve counts one more connection from an address. If a limit does not allow that, Reserve returns which
// limit it is and how many connections this limit counts. If the Verdict is Reserved, the caller must call
// Release later.
func (c *Connections) Reserve(from Network) (v Verdict, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.max {
		return Full, c.all
	}
	if c.maxPerAddress > 0 {
		if n := c.each[from]; n >= c.maxPerAddress {
			return AddressFull, n
		}
		c.each[from]++
	}
	c.all++
	return Reserved, c.all
}

// Release undoes Reserve.
func (c *Connections) Release(from Network) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if n, counted := c.each[from]; counted {
		if c.each[from]--; n == 1 {
			delete(c.each, from)
		}
	}
}

// Max returns how many connections are allowed.
func (c *Connections) Max() int { return c.max }

// Open returns how many connections are open, and from how many addresses if those are counted.
func (c *Connections) Open() (all, addresses int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all, len(c.each)
}
