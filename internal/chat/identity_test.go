package chat

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func guest() string { return "guest" }

func TestIdentities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIdentities()
		first := is.claim("", "A", guest)
		who := first.who
		if who.Name != "A" || who.ID == "" || len(first.secret) < 20 {
			t.Fatalf("claim = %+v, %q", who, first.secret)
		}
		if other := is.claim("", "A", guest).who; other.ID == who.ID {
			t.Error("two people have one id")
		}
		if nobody := is.claim("no such secret", "", guest).who; nobody.ID == who.ID || nobody.Name != "guest" {
			t.Errorf("a wrong secret = %+v, want a new guest", nobody)
		}
		is.rename(first, "B")
		is.part(first)
		time.Sleep(identityKept - time.Nanosecond)
		second := is.claim(first.secret, "", guest)
		again := second.who
		if again.ID != who.ID || again.Name != "B" || second.secret == first.secret {
			t.Errorf("within ten minutes = %+v, want %s as B with a new secret", again, who.ID)
		}
		// The new secret may never have arrived.
		if third := is.claim(first.secret, "", guest); third.who.ID != who.ID || third.secret == second.secret {
			t.Errorf("the old secret again = %+v, want %s with another secret", third.who, who.ID)
		}
		is.part(second)
		time.Sleep(time.Nanosecond)
		if late := is.claim(first.secret, "", guest).who; late.ID == who.ID {
			t.Error("a secret was good ten minutes after its connection's end")
		}
		time.Sleep(identityKept)
		if late := is.claim(second.secret, "", guest).who; late.ID == who.ID {
			t.Error("a secret was good after ten minutes")
		}
		// A second tab with the same secret, while the first is connected.
		tab := is.claim("", "T", guest)
		a, b := tab.who, is.claim(tab.secret, "U", guest).who
		if a.ID != b.ID || b.Name != "U" {
			t.Errorf("%+v then %+v, want one person", a, b)
		}
	})
}

func TestIdentitiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIdentities()
		connected := is.claim("", "here", guest)
		var secrets []string
		for i := range identitiesMax + 10 {
			id := is.claim("", fmt.Sprint(i), guest)
			secrets = append(secrets, id.secret)
			is.part(id)
		}
		if len(is.known) != identitiesMax+1 || len(is.parted) != identitiesMax {
			t.Errorf("%d known, %d gone, want %d gone and one connected", len(is.known), len(is.parted), identitiesMax)
		}
		if who := is.claim(secrets[9], "", guest).who; who.Name != "guest" {
			t.Errorf("one of the longest gone is still known as %s", who.Name)
		}
		if who := is.claim(secrets[10], "", guest).who; who.Name != "10" {
			t.Errorf("%s, want the tenth, who is kept", who.Name)
		}
		if who := is.claim(connected.secret, "", guest).who; who.Name != "here" {
			t.Errorf("who is connected was forgotten: %s", who.Name)
		}
		time.Sleep(identityKept)
		is.claim("", "", guest)
		if len(is.parted) != 0 || len(is.known) != 5 {
			t.Errorf("after ten minutes %d known, %d gone, want the 5 connected", len(is.known), len(is.parted))
		}
	})
}
