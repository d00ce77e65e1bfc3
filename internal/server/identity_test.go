package server

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
		who, first := is.claim("", "A", guest)
		if who.Name != "A" || who.ID == "" || len(first.secret) < 20 {
			t.Fatalf("claim = %+v, %q", who, first.secret)
		}
		if other, _ := is.claim("", "A", guest); other.ID == who.ID {
			t.Error("two people have one id")
		}
		if nobody, _ := is.claim("no such secret", "", guest); nobody.ID == who.ID || nobody.Name != "guest" {
			t.Errorf("a wrong secret = %+v, want a new guest", nobody)
		}
		is.rename(first, "B")
		is.part(first)
		time.Sleep(identityKept - time.Nanosecond)
		again, second := is.claim(first.secret, "", guest)
		if again.ID != who.ID || again.Name != "B" || second.secret == first.secret {
			t.Errorf("within ten minutes = %+v, want %s as B with a new secret", again, who.ID)
		}
		if stolen, _ := is.claim(first.secret, "", guest); stolen.ID == who.ID {
			t.Error("a secret was good twice")
		}
		is.part(second)
		time.Sleep(identityKept)
		if late, _ := is.claim(second.secret, "", guest); late.ID == who.ID {
			t.Error("a secret was good after ten minutes")
		}
		// A second tab with the same secret, while the first is connected.
		a, tab := is.claim("", "T", guest)
		b, _ := is.claim(tab.secret, "U", guest)
		if a.ID != b.ID || b.Name != "U" {
			t.Errorf("%+v then %+v, want one person", a, b)
		}
		is.part(tab) // its secret has been used up; this must not end the other's
	})
}

func TestIdentitiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newIdentities()
		_, connected := is.claim("", "here", guest)
		var secrets []string
		for i := range identitiesMax + 10 {
			_, id := is.claim("", fmt.Sprint(i), guest)
			secrets = append(secrets, id.secret)
			is.part(id)
		}
		if len(is.known) != identitiesMax+1 || len(is.parted) != identitiesMax {
			t.Errorf("%d known, %d gone, want %d gone and one connected", len(is.known), len(is.parted), identitiesMax)
		}
		if who, _ := is.claim(secrets[9], "", guest); who.Name != "guest" {
			t.Errorf("one of the longest gone is still known as %s", who.Name)
		}
		if who, _ := is.claim(secrets[10], "", guest); who.Name != "10" {
			t.Errorf("%s, want the tenth, who is kept", who.Name)
		}
		if who, _ := is.claim(connected.secret, "", guest); who.Name != "here" {
			t.Errorf("who is connected was forgotten: %s", who.Name)
		}
		time.Sleep(identityKept)
		is.claim("", "", guest)
		if len(is.parted) != 0 || len(is.known) != 4 {
			t.Errorf("after ten minutes %d known, %d gone, want the 4 connected", len(is.known), len(is.parted))
		}
	})
}
