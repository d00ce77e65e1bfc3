package journal

import (
	"fmt"
	"time"

	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// rewriteAgain is how long the keeper waits before it tries again, after a part of the log could not be rewritten.
const rewriteAgain = 30 * time.Second

// keep is the keeper goroutine. It rewrites parts of the log of which most is no longer needed.
func (j *Journal) keep() {
	failed := false
	for {
		select {
		case <-j.dead:
		case <-j.stop:
			return
		}
		for {
			select {
			case <-j.stop:
				return
			default:
			}
			done, err := j.log.Rewrite(keeper{j})
			if err == nil && !done {
				break
			}
			if err == nil {
				failed = false
				continue
			}
			if !failed {
				j.report(fmt.Errorf("old messages could not be removed from the disk: %w", explain(j.opts.Dir, err)))
			}
			failed = true
			select {
			case <-time.After(rewriteAgain):
			case <-j.stop:
				return
			}
		}
	}
}

// keeper says which records of the log are still needed. A message leaves the disk only after a trim for it was stored. Without the trim
// the next start would find that the message is missing.
type keeper struct{ *Journal }

// Keep implements seglog.Keeper.
func (k keeper) Keep(p seglog.Pos, body []byte) []byte {
	rec, err := parseRecord(body)
	if err != nil {
		return body // the next start reports it as damage
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.rooms[rec.room]
	switch rec.kind {
	case kindBase:
		if p == k.base {
			return body
		}
	case kindTrim:
		if r != nil && p == r.trim {
			return body
		}
	case kindKnown:
		if r != nil && r.goneAt(rec.seq) != nil {
			return body
		}
	case kindMessage:
		switch {
		case r != nil && rec.seq > r.trimmed:
			return body
		case r != nil && r.goneAt(rec.seq) != nil:
			rec.kind = kindKnown
			return appendRecord(nil, rec)
		}
	default:
		return body
	}
	return nil
}

// Moved implements seglog.Keeper.
func (k keeper) Moved(old, p seglog.Pos, body []byte) {
	rec, err := parseRecord(body)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.rooms[rec.room]
	switch {
	case rec.kind == kindBase && old == k.base:
		k.base = p
	case rec.kind == kindTrim && r != nil && old == r.trim:
		r.trim = p
	case rec.kind == kindMessage || rec.kind == kindKnown:
		if r == nil {
			k.log.Free(p, p.Bytes())
		} else {
			r.moved(rec.seq, p)
		}
	case rec.kind == kindBase || rec.kind == kindTrim:
		k.log.Free(p, p.Bytes())
	}
}
