package hub

import (
	"slices"
	"time"
)

// This file has the items with which the hub goroutine changes the members of a room.

func (r *room) join(it item) {
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
	m.person = r.presence.join(it.author)
	m.owner.Notify(Joined{Head: r.position.Head, Epoch: r.position.Epoch, People: r.presence.snapshot()})
}

// logOf returns the log of a form. If there is none yet, it makes one that begins at the
// room's position.
func (r *room) logOf(form *Form) *Log {
	for _, l := range r.logs {
		if l.form == form {
			return l
		}
	}
	l := newLog(form, r.position.Head)
	r.logs = append(r.logs, l)
	return l
}

func (r *room) rename(it item) {
	if known := it.member.person; known != nil {
		r.presence.rename(known, it.author.Name)
	}
}

func (r *room) leave(it item) {
	r.leavers = append(r.leavers, it.member)
}

// finishLeaving ends the membership of each leaver whose messages all have an outcome. It is
// called after publish, so that Left.End is after every message that the member has sent.
func (r *room) finishLeaving() {
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

// remove takes a member out of its log. If it was the last member of the log, remove drops
// the log as well.
func (r *room) remove(m *Member) {
	r.hub.counters.members.Add(-1)
	l := m.cursor.log
	l.watchers.set(m, nil)
	if l.members--; l.members == 0 {
		r.hub.logBytes.Add(int64(-l.bytes))
		r.logs = slices.DeleteFunc(r.logs, func(other *Log) bool { return other == l })
	}
}

// tellPeople publishes the change of presence, if one is due at the time now.
func (r *room) tellPeople(now time.Time) {
	told, ok := r.presence.change(now)
	if !ok {
		return
	}
	for _, l := range r.logs {
		if l.form.People != nil {
			frame := l.form.People(nil, told)
			l.people.Store(&frame)
			l.watchers.wake()
		}
	}
}
