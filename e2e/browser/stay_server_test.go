package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestKilled kills the server in the middle of a conversation, without a word to anybody, and starts it again: what was on its way is
// said again, everything said stands once where it was said, and the page tells that the room's memory has begun anew.
func TestKilled(t *testing.T) {
	const rounds = 16
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var tabs []*tab
	for range 3 {
		tabs = append(tabs, open(t, browser, s, "/"))
	}
	var talking sync.WaitGroup
	for i, tb := range tabs {
		talking.Go(func() {
			for n := range rounds {
				tb.say(fmt.Sprintf("タブ%d の %02d", i, n))
			}
		})
	}
	tabs[0].waitText("タブ0 の 03")
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Wait(patience)
	tabs[0].waitOffline()
	talking.Wait()
	if t.Failed() {
		return
	}
	for i := range 5 {
		tabs[i%3].click(seal)
	}
	again := doyasa.Start(t, "--listen", s.Addr)
	for _, tb := range tabs {
		tb.waitLive()
		tb.waitSaid()
	}
	post(t, again, "doyasa", "外", "おわり")
	for i, tb := range tabs {
		tb.waitText("おわり")
		shown := tb.texts()
		for n := range rounds {
			own := fmt.Sprintf("タブ%d の %02d", i, n)
			if count := len(slices.DeleteFunc(slices.Clone(shown), func(text string) bool { return text != own })); count != 1 {
				t.Errorf("tab %d shows its own %q %d times", i, own, count)
			}
		}
		for k, text := range shown {
			if strings.HasPrefix(text, "タブ") && slices.Contains(shown[:k], text) {
				t.Errorf("tab %d shows %q twice", i, text)
			}
		}
		tb.waitShouts(5)
		if notes := get[[]string](tb, `all('[role="log"] > .note').map((note) => note.textContent)`); len(notes) != 1 ||
			!strings.HasPrefix(notes[0], "ここから新しい履歴です") {
			t.Errorf("tab %d announces %q, want the new record, once", i, notes)
		}
		for _, text := range textsOf(history(t, again, "doyasa")) {
			if !strings.HasPrefix(text, "どやさ") && !slices.Contains(shown, text) {
				t.Errorf("tab %d does not show %q, which the server has", i, text)
			}
		}
	}
	kept := slices.DeleteFunc(textsOf(history(t, again, "doyasa")), func(text string) bool { return strings.HasPrefix(text, "どやさ") })
	slices.Sort(kept)
	if once := slices.Compact(slices.Clone(kept)); len(once) != len(kept) {
		t.Errorf("the server has something twice: %q", kept)
	}
}

// countTimers has the page count its calls to a server, and what it has planned.
const countTimers = `window.dialled = 0; window.planned = new Map(); {
	const { WebSocket: Socket, setTimeout: later, clearTimeout: never } = window;
	window.WebSocket = class extends Socket { constructor(...about) { super(...about); dialled++; } };
	window.setTimeout = (action, wait = 0, ...rest) => {
		const id = later((...about) => { planned.delete(id); action(...about); }, wait, ...rest);
		planned.set(id, wait);
		return id;
	};
	window.clearTimeout = (id) => { planned.delete(id); never(id); };
}`

// longTimers are those that could be for another call.
const longTimers = `[...planned.values()].filter((wait) => wait > 150)`

// TestRefused opens a room that cannot be: the page says why, never tries again by itself, and does when it is asked to.
func TestRefused(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := newTab(t, browser, nil, countTimers)
	tb.visit("http://" + s.Addr + "/r/a%20b")
	tb.wait(`one('` + status + `').textContent === 'この部屋の名前は使えません。'`)
	if planned := get[[]float64](tb, longTimers); len(planned) > 0 || get[int](tb, `dialled`) != 1 {
		t.Errorf("%d calls, and timers for %v ms after a final refusal; want one and none", get[int](tb, `dialled`), planned)
	}
	tb.click(`#statusNow`)
	tb.wait(`dialled === 2`)
}

// TestLanguages goes through what the page may say about the connection in the other language.
func TestLanguages(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	tb.say("ことば")
	tb.waitText("ことば")
	tb.click(peopleButton)
	tb.click(`input[value="en"]`)
	tb.press(escape)
	tb.wait(`document.documentElement.lang === 'en' && one('#people').textContent === '1 person' && one('textarea').placeholder === 'Say something'`)
	tb.wantTexts("in English", "ことば")
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Wait(patience)
	tb.wait(`one('` + status + `').textContent === 'The connection was lost.' && one('#statusNow').textContent === 'Connect now'`)
	tb.wait(`/^Reconnecting in \d+ s$/.test(one('#statusCount').textContent)`)
	doyasa.Start(t, "--listen", s.Addr)
	tb.wait(`(one('#statusNow').click(), true)`) // on a busy machine the page may have reconnected by itself, and hidden the button
	tb.waitLive()
	tb.wait(`!one('#status').classList.contains('shown')`)
}
