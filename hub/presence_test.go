package hub_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// told is a form whose frames of presence can be read again.
var told = &hub.Form{
	Message: lines.Message,
	People: func(dst []byte, p hub.People) []byte {
		return fmt.Appendf(dst, "%d +%q -%q", p.Count, p.Joined, p.Left)
	},
}

// lobby is a room in a bubble of synctest.
type lobby struct {
	t *testing.T
	h *hub.Hub
}

func inLobby(t *testing.T, f func(lobby)) {
	synctest.Test(t, func(t *testing.T) {
		l := lobby{t, hub.New(hub.Options{})}
		defer l.h.Close()
		f(l)
	})
}

func (l lobby) join(id, name string) (*hub.Member, hub.Joined) {
	l.t.Helper()
	m, o := join(l.t, l.h, room, told, hub.Author{ID: id, Name: name})
	synctest.Wait()
	return m, one[hub.Joined](l.t, o)
}

// want checks what a member is told next, nothing if empty.
func (l lobby) want(m *hub.Member, want string) {
	l.t.Helper()
	synctest.Wait()
	if got := string(m.TakePeople()); got != want {
		l.t.Errorf("told %s, want %s", got, want)
	}
}

func TestPresenceIsToldOnceASecond(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		l.want(a, `1 +["A"] -[]`)
		l.want(a, "")
		l.join("2", "B")
		c, _ := l.join("3", "C")
		l.want(a, "")
		time.Sleep(time.Second - 1)
		l.want(a, "")
		time.Sleep(time.Nanosecond)
		l.want(a, `3 +["B" "C"] -[]`)
		l.want(c, `3 +["B" "C"] -[]`)
		l.want(c, "")
		time.Sleep(time.Hour)
		l.want(a, "")
	})
}

// The latest change takes the place of one that a slow member has not been sent.
func TestPresenceIsNeverStale(t *testing.T) {
	inLobby(t, func(l lobby) {
		slow, _ := l.join("1", "A")
		for i := range 3 {
			time.Sleep(time.Minute)
			l.join(fmt.Sprint("n", i), fmt.Sprint("N", i))
		}
		l.want(slow, `4 +["N2"] -[]`)
		late, _ := l.join("5", "E")
		l.want(late, "") // the change that was told before it joined
	})
}

func TestPresenceOfNewcomers(t *testing.T) {
	inLobby(t, func(l lobby) {
		if _, j := l.join("1", "A"); j.People.Count != 1 || !slices.Equal(j.People.Names, []string{"A"}) {
			t.Errorf("Joined with %+v, want A", j.People)
		}
		if _, j := l.join("2", "B"); j.People.Count != 2 || !slices.Equal(j.People.Names, []string{"A", "B"}) {
			t.Errorf("Joined with %+v, want A and B", j.People)
		}
	})
}

// Each member without an ID is a person of its own, and comes, is renamed and goes like any
// other.
func TestPresenceWithoutID(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		b, _ := l.join("", "B")
		c, j := l.join("", "B")
		if j.People.Count != 3 || !slices.Equal(j.People.Names, []string{"A", "B", "B"}) {
			t.Errorf("Joined with %+v, want A, B and B", j.People)
		}
		time.Sleep(time.Second)
		l.want(a, `3 +["B" "B"] -[]`)
		c.Rename("C")
		time.Sleep(time.Second)
		l.want(a, `3 +["C"] -["B"]`)
		b.Leave()
		time.Sleep(30 * time.Second)
		l.want(a, `2 +[] -["B"]`)
	})
}

func TestLeaveIsToldAfterTheGrace(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		b, _ := l.join("2", "B")
		time.Sleep(time.Minute)
		a.TakePeople()
		b.Leave()
		time.Sleep(30*time.Second - 1)
		l.want(a, "")
		if _, j := l.join("3", "C"); j.People.Count != 3 {
			t.Errorf("%d people within the grace, want 3", j.People.Count)
		}
		l.want(a, `3 +["C"] -[]`)
		time.Sleep(time.Nanosecond) // the grace ends, the second does not
		l.want(a, "")
		time.Sleep(time.Second - 1)
		l.want(a, `2 +[] -["B"]`)
		time.Sleep(time.Hour)
		l.want(a, "")
	})
}

func TestReturnWithinTheGraceIsSilent(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		b, _ := l.join("2", "B")
		time.Sleep(time.Minute)
		a.TakePeople()
		for range 5 { // reloads, each within the grace of the one before
			b.Leave()
			time.Sleep(29 * time.Second)
			b, _ = l.join("2", "B")
		}
		time.Sleep(time.Hour)
		l.want(a, "")
		b.Leave() // the last grace counts, not an earlier one
		time.Sleep(29 * time.Second)
		l.want(a, "")
		time.Sleep(time.Second)
		l.want(a, `1 +[] -["B"]`)
	})
}

// Two graces of one person that end at the same moment are one leave.
func TestLeaveTwiceInOneMoment(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		for range 2 {
			b, _ := l.join("2", "B")
			b.Leave()
			synctest.Wait()
		}
		time.Sleep(29 * time.Second)
		a.TakePeople()
		time.Sleep(time.Second)
		l.want(a, `1 +[] -["B"]`)
	})
}

func TestTwoConnectionsAreOnePerson(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		phone, j := l.join("2", "B")
		if j.People.Count != 2 {
			t.Errorf("%d people, want 2", j.People.Count)
		}
		tab, j := l.join("2", "B")
		if j.People.Count != 2 || len(j.People.Names) != 2 {
			t.Errorf("%+v, want 2 people", j.People)
		}
		time.Sleep(time.Minute)
		a.TakePeople()
		phone.Leave()
		time.Sleep(time.Hour)
		l.want(a, "")
		tab.Leave()
		time.Sleep(time.Hour)
		l.want(a, `1 +[] -["B"]`)
	})
}

func TestRename(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		b, _ := l.join("2", "B")
		time.Sleep(time.Minute)
		a.TakePeople()
		b.Rename("C")
		l.want(a, `2 +["C"] -["B"]`)
		b.Rename("D")
		b.Rename("E")
		l.want(a, "")
		time.Sleep(time.Second)
		l.want(a, `2 +["E"] -["C"]`)
		time.Sleep(time.Second)
		b.Rename("E")
		l.want(a, "")
		a.Rename("X") // told at once
		l.want(a, `2 +["X"] -["A"]`)
		b.Rename("Y")
		b.Rename("E") // there and back within the second
		time.Sleep(time.Hour)
		l.want(a, "")
		if _, j := l.join("3", "F"); !slices.Equal(j.People.Names, []string{"X", "E", "F"}) {
			t.Errorf("Joined with %q, want X, E and F", j.People.Names)
		}
	})
}

// Somebody without a name counts.
func TestNameless(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		time.Sleep(time.Minute)
		a.TakePeople()
		b, _ := l.join("2", "")
		l.want(a, `2 +[] -[]`)
		b.Leave()
		time.Sleep(time.Minute)
		l.want(a, `1 +[] -[]`)
	})
}

func TestAtMostTwentyNames(t *testing.T) {
	inLobby(t, func(l lobby) {
		a, _ := l.join("1", "A")
		l.want(a, `1 +["A"] -[]`)
		var crowd []*hub.Member
		for i := range 25 {
			m, j := l.join(fmt.Sprint("n", i), "N")
			if j.People.Count != i+2 || len(j.People.Names) != min(i+2, 20) {
				t.Errorf("Joined with %d people and %d names, want %d and %d", j.People.Count, len(j.People.Names), i+2, min(i+2, 20))
			}
			crowd = append(crowd, m)
		}
		twenty := slices.Repeat([]string{"N"}, 20)
		time.Sleep(time.Second)
		l.want(a, fmt.Sprintf("26 +%q -[]", twenty))
		for _, m := range crowd {
			m.Leave()
		}
		time.Sleep(time.Minute)
		l.want(a, fmt.Sprintf("1 +[] -%q", twenty))
	})
}

// A change of presence wakes the members whose form shows presence, and no others.
func TestPresenceWakes(t *testing.T) {
	inLobby(t, func(l lobby) {
		_, with := join(t, l.h, room, told, hub.Author{ID: "1", Name: "A"})
		plain, without := join(t, l.h, room, lines, hub.Author{ID: "2", Name: "B"})
		time.Sleep(time.Minute)
		with.woken()
		without.woken()
		l.join("3", "C")
		if !with.woken() {
			t.Error("not woken for a change of presence")
		}
		if without.woken() || plain.TakePeople() != nil {
			t.Error("told of presence in a form that shows none")
		}
	})
}
