package hub

import "time"

const (
	peopleListed = 20               // names in each list of People, at most
	peopleEvery  = time.Second      // changes are told at most this often
	leaveGrace   = 30 * time.Second // who returns within it has never left
)

// People is who is in a room, or how that changed.
type People struct {
	Count  int      // everybody, also those the lists have no room for
	Names  []string // in Joined: some of those who are there
	Joined []string // in a change
	Left   []string // in a change
}

// A person is one Author.ID in a room, over any number of connections and the gaps
// between them, or a member without one. It is kept small: most people are quiet.
type person struct {
	id      string // empty: there is nothing to be known by again
	name    string
	leaves  int64 // when the last grace ends, Unix nanoseconds: it tells a stale leaving
	members int32 // connections; 0 while the grace runs, and when gone
	index   int32 // in presence.listed, -1 when gone
	dirty   bool  // in presence.dirty
}

// A change is that of a person since the last telling.
type change struct {
	person *person
	told   string // the name others know; empty if they know of nobody
}

// presence belongs to the hub goroutine.
type presence struct {
	people  map[string]*person // by Author.ID, of those who have one
	listed  []*person          // all people, in no promised order
	leaving []leaving          // in the order in which the graces end
	dirty   []change           // since the last telling
	names   []string           // what snapshot shows of listed; nil: to be made anew
	count   int                // people at the last telling
	next    time.Time          // when the next change may be told
}

// leaving is the end of a grace. It is stale if the person has come back since.
type leaving struct {
	person *person
	at     time.Time
}

func (p *presence) join(who Author) *person {
	known := p.people[who.ID]
	if known == nil {
		known = &person{id: who.ID, index: int32(len(p.listed))}
		p.mark(known)
		p.listed = append(p.listed, known)
		p.reshow(known)
		if who.ID != "" {
			if p.people == nil {
				p.people = make(map[string]*person)
			}
			p.people[who.ID] = known
		}
	}
	known.members++
	p.rename(known, who.Name)
	return known
}

func (p *presence) rename(known *person, name string) {
	if known.name != name {
		p.mark(known)
		known.name = name
		p.reshow(known)
	}
}

// reshow is called when the name at a person's place in listed has changed.
func (p *presence) reshow(known *person) {
	if known.index < peopleListed {
		p.names = nil
	}
}

func (p *presence) leave(known *person, now time.Time) {
	if known.members--; known.members == 0 {
		at := now.Add(leaveGrace)
		known.leaves = at.UnixNano()
		p.leaving = append(p.leaving, leaving{known, at})
	}
}

// mark is called before a person changes.
func (p *presence) mark(known *person) {
	if !known.dirty {
		known.dirty = true
		p.dirty = append(p.dirty, change{known, known.name})
	}
}

// expire removes those whose grace has ended.
func (p *presence) expire(now time.Time) {
	for len(p.leaving) > 0 && !p.leaving[0].at.After(now) {
		gone, at := p.leaving[0].person, p.leaving[0].at
		p.leaving[0] = leaving{}
		p.leaving = p.leaving[1:]
		if gone.members > 0 || gone.index < 0 || gone.leaves != at.UnixNano() {
			continue
		}
		p.mark(gone)
		p.reshow(gone)
		end := len(p.listed) - 1
		last := p.listed[end]
		p.listed[gone.index], last.index = last, gone.index
		p.listed[end] = nil
		p.listed = p.listed[:end]
		gone.name, gone.index = "", -1
		delete(p.people, gone.id)
	}
	p.shrink()
}

// shrink gives back what a crowd has taken: nothing here does so by itself.
func (p *presence) shrink() {
	if len(p.leaving) == 0 {
		p.leaving = nil
	}
	if cap(p.listed) <= 4*max(len(p.listed), peopleListed) {
		return
	}
	p.listed = append(make([]*person, 0, 2*len(p.listed)), p.listed...)
	p.people = make(map[string]*person, len(p.listed))
	for _, known := range p.listed {
		if known.id != "" {
			p.people[known.id] = known
		}
	}
}

// snapshot is what a newcomer is told. A crowd of them shares the names.
func (p *presence) snapshot() People {
	if p.names == nil {
		first := p.listed[:min(len(p.listed), peopleListed)]
		p.names = make([]string, 0, len(first))
		for _, known := range first {
			p.names = append(p.names, known.name)
		}
	}
	return People{Count: len(p.listed), Names: p.names}
}

// change returns what is to be told now, if anything. A new name shows as the old one
// leaving and the new one joining; what came and went in between is not told.
func (p *presence) change(now time.Time) (People, bool) {
	p.expire(now)
	if len(p.dirty) == 0 || now.Before(p.next) {
		return People{}, false
	}
	told := People{Count: len(p.listed)}
	for _, c := range p.dirty {
		c.person.dirty = false
		if c.person.name == c.told {
			continue
		}
		told.Left = appendName(told.Left, c.told)
		told.Joined = appendName(told.Joined, c.person.name)
	}
	p.dirty = nil
	if told.Count == p.count && len(told.Joined)+len(told.Left) == 0 {
		return People{}, false
	}
	p.count = told.Count
	p.next = now.Add(peopleEvery)
	return told, true
}

func appendName(list []string, name string) []string {
	if name == "" || len(list) == peopleListed {
		return list
	}
	return append(list, name)
}

// due returns when change has something to do again; the zero time for never.
func (p *presence) due() time.Time {
	switch {
	case len(p.dirty) > 0:
		return p.next
	case len(p.leaving) > 0:
		return p.leaving[0].at
	}
	return time.Time{}
}
