package browser_test

import (
	"fmt"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestStreak presses fast: a number beside the seal counts the presses in a row, every one of them arrives, and after a pause the count
// starts over.
func TestStreak(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	other := open(t, browser, s, "/")
	const streak = `one('#streak')`
	if !get[bool](tb, streak+`.hidden`) {
		t.Error("a count of nothing is shown")
	}
	const presses = 12
	for n := range presses {
		tb.click(seal)
		if n == 0 {
			continue
		}
		if got, want := get[string](tb, streak+`.textContent`), fmt.Sprintf("×%d", n+1); got != want {
			t.Errorf("the count is %s, want %s", got, want)
		}
	}
	if !get[bool](tb, `(({ top, left, right, bottom }) => top > 0 && left > 0 && right < innerWidth && bottom < innerHeight)(`+streak+`.getBoundingClientRect())`) {
		t.Error("the count is not within the window")
	}
	tb.wait(streak + `.hidden`)
	tb.click(seal)
	if !get[bool](tb, streak+`.hidden`) {
		t.Error("one press after a pause goes on with the count before it")
	}
	for _, tb := range []*tab{tb, other} {
		tb.waitShouts(presses + 1)
	}
	tb.waitSaid()
	if said := len(tb.said()); said >= presses {
		t.Errorf("%d presses in a row went out as %d messages", presses+1, said)
	}
	if got, want := other.texts()[0], fmt.Sprintf("どやさ×%d", presses+1); got != want {
		t.Errorf("the room reads %q, want %q", got, want)
	}
}
