package hub

import "time"

const (
	peopleListed = 20               // the most names in each list of People
	peopleEvery  = time.Second      // the shortest time between two changes that members are told
	leaveGrace   = 30 * time.Second // a person who returns within this time is not shown as having left
)

// People are the people in a room, or how they changed.
type People struct {
	Count  int      // how many people are in the room, including those that the lists have no space for
	Names  []string // the names of some people in the room; set in the notice Joined
	Joined []string // names of people who have come; set in a change
	Left   []string // names of people who have gone; set in a change
}

// A person is one Author.ID in a room with all its connections, or one member without an ID.
// It stays the same person between two connections, for up to leaveGrace. The struct is small,
// because there may be very many people.
type person struct {
	id      string // empty if the person is not recognised when it returns
	name    string
	leaves  int64 // when the newest grace of this person ends, in Unix nanoseconds; see leaving
	members int32 // connections; 0 while the grace runs, and when the person is gone
	index   int32 // the place in presence.listed, -1 when the person is gone
	dirty   bool  // the person is in presence.dirty
}

// A change is a person that has changed since the members were last told.
type change struct {
	person *person
	told   string // the name that the members were told last; empty if they were not told of the person
}

// presence belongs to the hub goroutine.
type presence struct {
	people  map[string]*person // by Author.ID, without the people that have none
	listed  []*person          // all people, in any order
	leaving []leaving          // in the order in which the graces end
	dirty   []change           // the people that have changed since the members were last told
	names   []string           // the names of the first people in listed; nil if snapshot must make it again
	count   int                // how many people there were when the members were last told
	next    time.Time          // when the members may be told of the next change
}

// leaving is the end of a grace: the person left, and is removed at this time. If the person
// has come back since, leaving has no effect. If it then left again, its leaves has another
// time.
type leaving struct {
	person *person
	at     time.Time
}

func (p *presence) join(author Author) *person {
	known := p.people[author.ID]
	if known == nil {
		known = &person{id: author.ID, index: int32(len(p.listed))}
		p.mark(known)
		p.listed = append(p.listed, known)
		p.reshow(known)
		if author.ID != "" {
			if p.people == nil {
				p.people = make(map[string]*person)
			}
			p.people[author.ID] = known
		}
	}
	known.members++
	p.rename(known, author.Name)
	return known
}

func (p *presence) rename(known *person, name string) {
	if known.name != name {
		p.mark(known)
		known.name = name
		p.reshow(known)
	}
}

// reshow must be called when the name at a person's place in listed has changed. It discards
// the names of snapshot if they include this place.
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

// mark adds a person to dirty, with the name that the members know. It must be called before
// the person changes.
func (p *presence) mark(known *person) {
	if !known.dirty {
		known.dirty = true
		p.dirty = append(p.dirty, change{known, known.name})
	}
}

// expire removes the people whose grace has ended.
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

// shrink replaces slices and maps that were needed for many more people, because they do not
// release memory by themselves.
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

// snapshot returns the People for the notice Joined. The slice of names is shared by all
// notices until one of the names changes.
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

// change returns the change that the members must be told now, if there is one. A person with
// a new name is in Left with the old name and in Joined with the new one. A person that came
// and left since the members were last told is in neither.
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

// due returns when change must be called again, or the zero time if there is no need to.
func (p *presence) due() time.Time {
	switch {
	case len(p.dirty) > 0:
		return p.next
	case len(p.leaving) > 0:
		return p.leaving[0].at
	}
	return time.Time{}
}
