package hub

import (
	"slices"
	"time"
)

// Who comes and goes: items of the hub goroutine that change a room's members.

func (r *Room) join(it item) {
	m := it.member
	if err := r.open(); err != nil {
		m.owner.Notify(Refused{Err: err})
		return
	}
	l := r.logOf(it.form)
	l.members++
	r.hub.counters.members.Add(1)
	m.cursor.log = l
	m.cursor.toEnd()
	m.people = l.people.Load()
	l.watchers.set(m, m.owner)
	m.person = r.presence.join(it.who)
	m.owner.Notify(Joined{Head: r.position.Head, Epoch: r.position.Epoch, People: r.presence.snapshot()})
}

// logOf finds the log of a form, or begins it where the room stands.
func (r *Room) logOf(form *Form) *Log {
	for _, l := range r.logs {
		if l.form == form {
			return l
		}
	}
	l := newLog(form, r.position.Head)
	r.logs = append(r.logs, l)
	return l
}

func (r *Room) rename(it item) {
	if known := it.member.person; known != nil {
		r.presence.rename(known, it.who.Name)
	}
}

func (r *Room) leave(it item) {
	r.leavers = append(r.leavers, it.member)
}

// finishLeaving lets those go who wait for no outcome. It comes after publish, so
// that a leaver's End is behind everything it said.
func (r *Room) finishLeaving() {
	waiting := r.leavers[:0]
	for _, m := range r.leavers {
		if m.awaited > 0 {
			waiting = append(waiting, m)
			continue
		}
		var end int64
		if m.person != nil {
			end, _ = m.cursor.End()
			r.remove(m)
			r.presence.leave(m.person, time.Now())
		}
		m.owner.Notify(Left{End: end})
		r.hub.release(r)
	}
	clear(r.leavers[len(waiting):])
	r.leavers = waiting
}

// remove takes a member out of its log, and the log out of the room with the last one.
func (r *Room) remove(m *Member) {
	r.hub.counters.members.Add(-1)
	l := m.cursor.log
	l.watchers.set(m, nil)
	if l.members--; l.members == 0 {
		r.hub.logBytes.Add(int64(-l.bytes))
		r.logs = slices.DeleteFunc(r.logs, func(other *Log) bool { return other == l })
	}
}

// tellPeople publishes a change of presence when one is due, and sets the timer for
// the next.
func (r *Room) tellPeople(timer *time.Timer) {
	now := time.Now()
	if told, ok := r.presence.change(now); ok {
		for _, l := range r.logs {
			if l.form.People != nil {
				frame := l.form.People(nil, told)
				l.people.Store(&frame)
				l.watchers.wake()
			}
		}
	}
	if due := r.presence.due(); !due.IsZero() {
		timer.Reset(due.Sub(now))
	}
}
