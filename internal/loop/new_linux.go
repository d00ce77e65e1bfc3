//go:build linux && !portable

package loop

// New returns the loop for this system. Shutdown ends it.
func New(o Options) *Lanes { return NewLanes(o) }
