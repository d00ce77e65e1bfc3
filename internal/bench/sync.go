package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// noContext is the context for the steps that a run still does after an interruption.
var noContext = context.Background()

// sync waits until every member of every room receives the messages of its room. An answered handshake does not prove that, because the
// join may not be finished. So the first sender of a room sends a probe each second until all members have received one. After that every
// missing message is a fault.
func (r *run) sync() error {
	r.enter(phaseJoining, 0)
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
			return errors.New("interrupted while the connections joined their rooms")
		case r.now()-begin > 2*r.opts.patience:
			return fmt.Errorf("%d of %d connections receive nothing of what is said in their room%s", len(r.conns)-r.synced, len(r.conns), r.faults.why())
		}
	}
}

// release lets the stalled connections read again, to find out which of them the server has closed.
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
	r.enter(phaseStalled, 0)
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
