package bench

import (
	"context"
	"fmt"
	"time"
)

// noContext is for what is still done when the measurement has been interrupted.
var noContext = context.Background()

// sync waits until every member of every room hears the room. A handshake that is answered does not say so: the join may still be
// under way. So the first sender of a room says a probe, and again each second, until all members have seen one. From then on
// nothing may be missing.
func (r *run) sync() error {
	r.phase = "gathering"
	for begin := r.now(); ; {
		for at := range r.rooms {
			rm := &r.rooms[at]
			if rm.synced < len(rm.members) {
				r.put(r.senders[rm.firstSender].conn, newKey(probe, rm.probes), r.now())
				rm.probes++
			}
		}
		r.flush()
		ok, err := r.step(func() bool { return r.synced == len(r.conns) }, r.now()+time.Second)
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		case r.ctx.Err() != nil:
			return fmt.Errorf("interrupted while gathering")
		case r.now()-begin > 2*r.opts.patience:
			return fmt.Errorf("%d of %d connections hear nothing of what is said in their room%s", len(r.conns)-r.synced, len(r.conns), r.faults.why())
		}
	}
}

// release lets the stalled read again, to see which of them the server has let go.
func (r *run) release() error {
	n := 0
	for i := range r.conns {
		if c := &r.conns[i]; c.stalled && !c.gone {
			r.sockets.set(i, reading)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	r.phase = "asking the stalled"
	ctx := r.ctx
	defer func() { r.ctx = ctx }()
	r.ctx = noContext
	_, err := r.step(func() bool { return r.stalledGone() == r.stalled() }, r.now()+r.opts.patience/3)
	return err
}

func (r *run) stalled() (n int) {
	for _, g := range r.groups {
		n += g.Stalled
	}
	return n
}

func (r *run) stalledGone() (n int) {
	for i := range r.conns {
		if c := &r.conns[i]; c.stalled && c.gone {
			n++
		}
	}
	return n
}
