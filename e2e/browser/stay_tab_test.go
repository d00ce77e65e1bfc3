package browser_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// visit goes to an address.
func (tb *tab) visit(address string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate(address))
}

// lifecycle freezes a tab, or wakes it.
func (tb *tab) lifecycle(state page.SetWebLifecycleStateState) {
	tb.t.Helper()
	tb.do(call(page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}))
}

// pair is two tabs of one window, of which the second hides the first.
func pair(t *testing.T, browser context.Context, address string, scripts ...string) (back, front *tab) {
	t.Helper()
	var tabs [2]*tab
	for i := range tabs {
		tabs[i] = newTab(t, browser, []chromedp.ContextOption{chromedp.WithNewWindow(false)}, scripts...)
		tabs[i].front()
		if i == 0 {
			tabs[i].visit(address)
			tabs[i].waitLive()
		}
	}
	tabs[0].wait(`document.visibilityState === 'hidden'`)
	return tabs[0], tabs[1]
}

// TestHidden puts a tab behind another: its title and icon count what comes meanwhile, and on its return a line says where the unread
// begin.
func TestHidden(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	post(t, s, "doyasa", "さくら", "もう読んだ")
	back, _ := pair(t, browser, "http://"+s.Addr+"/")
	back.wait(`document.title === 'doyasa · どやさ'`)
	plain := get[string](back, `one('#icon').href`)
	for n := range 3 {
		post(t, s, "doyasa", "さくら", fmt.Sprint("まだ ", n))
	}
	back.wait(`document.title === '(3) doyasa · どやさ'`)
	if icon := get[string](back, `decodeURIComponent(one('#icon').href)`); !strings.Contains(icon, ">3</text>") {
		t.Errorf("the icon is %q", icon)
	}
	back.front()
	back.waitText("まだ 2")
	back.wait(`document.title === 'doyasa · どやさ'`)
	if icon := get[string](back, `one('#icon').href`); icon != plain {
		t.Errorf("the icon stays %q", icon)
	}
	const lines = `[...one('[role="log"]').children].map((row) => row.matches('.unread') ? '--' : row.querySelector('.words')?.textContent ?? '')`
	got := strings.Join(get[[]string](back, lines), "|")
	if want := "|もう読んだ|--|まだ 0|まだ 1|まだ 2"; got != want {
		t.Errorf("the log reads %q, want %q", got, want)
	}
}

// TestFrozen stops a hidden tab altogether, as a phone in a pocket does, and cuts its connection. When it wakes, it has everything that
// the server has kept, once, and says what is gone.
func TestFrozen(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	for _, c := range []struct {
		name       string
		many, kept int
	}{
		{"everything is kept", 30, 1000},
		{"more than a page is kept", 450, 1000},
		{"history was trimmed away beneath it", 60, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := doyasa.Start(t, "--history-messages", fmt.Sprint(c.kept), "--limits-messages-per-second", "0")
			l := newLine(t, s.Addr)
			post(t, s, "doyasa", "さくら", "眠る前")
			back, _ := pair(t, browser, "http://"+l.addr+"/")
			back.waitNoted("眠る前")
			back.lifecycle(page.SetWebLifecycleStateStateFrozen)
			l.drop()
			raw := dial(t, s, "doyasa", "さくら")
			for n := range c.many {
				send(t, raw, fmt.Sprint("夢 ", n))
			}
			waitHistory(t, s, fmt.Sprint("夢 ", c.many-1))
			back.lifecycle(page.SetWebLifecycleStateStateActive)
			back.front()
			back.waitText(fmt.Sprint("夢 ", c.many-1))
			back.waitLive()
			back.wait(`!all('[role="log"] .note button').length && !all('[role="log"] .note').some((note) => note.textContent.includes('…'))`)
			shown := back.texts()
			first := max(0, c.many-c.kept)
			want := []string{}
			if first == 0 {
				want = append(want, "眠る前")
			}
			for n := first; n < c.many; n++ {
				want = append(want, fmt.Sprint("夢 ", n))
			}
			if first > 0 { // what was read before is still there, above the hole
				want = append([]string{"眠る前"}, want...)
			}
			want = want[max(0, len(want)-len(shown)):] // the window over a long log holds its end
			if len(shown) < min(len(want), 150) || strings.Join(shown, "|") != strings.Join(want, "|") {
				t.Errorf("shows %d: %.200q, want %d: %.200q", len(shown), shown, len(want), want)
			}
			lost := get[int](back, `all('[role="log"] .note').filter((note) => note.textContent === 'ここにあったメッセージは、もう残っていません。').length`)
			if announced := lost == 1; announced != (first > 0) {
				t.Errorf("%d holes are announced, with %d messages gone", lost, first)
			}
		})
	}
}

// waitNoted waits until a tab that may be hidden, and so does not draw, has received a text.
func (tb *tab) waitNoted(text string) {
	tb.t.Helper()
	tb.waitReceived(func(f frame) bool { return f.Text == text })
}

// TestDuplicated duplicates a tab, storage and all, that is in front or out of sight: the new one is a member of its own, and the old
// one stays who it was.
func TestDuplicated(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	for _, c := range []struct {
		name, room string
		isHidden   bool
	}{
		{"in front", "front", false},
		{"out of sight", "hidden", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb, cover := pair(t, browser, "http://"+s.Addr+"/r/"+c.room)
			other := open(t, browser, s, "/r/"+c.room)
			tb.front()
			tb.say("ひとり")
			other.waitText("ひとり")
			tb.waitSaid()
			tb.do(chromedp.Focus(chromedp.CSS(field)))
			tb.write("書きかけ")
			if c.isHidden {
				cover.front()
				tb.wait(`document.visibilityState === 'hidden'`)
			}
			// A window that is opened by a page gets a copy of its sessionStorage, as a duplicated tab does.
			found := chromedp.WaitNewTarget(tb.ctx, func(info *target.Info) bool { return strings.Contains(info.URL, s.Addr) })
			if _, err := chromedp.Run(tb.ctx, chromedp.Evaluate[chromedp.Void](`window.open(location.href), undefined`, func(p *runtime.EvaluateParams) {
				p.UserGesture = new(bool)
				*p.UserGesture = true
			})); err != nil {
				t.Fatal(err)
			}
			twin := newTab(t, browser, []chromedp.ContextOption{chromedp.WithTargetID(<-found)})
			get[any](twin, finders)
			twin.front()
			twin.waitLive()
			if !get[bool](twin, `Object.keys(sessionStorage).length > 0 && one('textarea').value === '書きかけ'`) {
				t.Error("the storage was not copied: this was no duplicate")
			}
			other.wait(`one('#people').textContent === '3人'`)
			twin.waitLive()
			for _, tb := range []*tab{twin, tb} {
				tb.front()
				get[any](tb, `one('textarea').select()`)
				tb.say("だれ?")
				tb.waitSaid()
			}
			other.wait(`all('` + texts + `').length === 3`)
			said := other.messages()
			if said[0].From.ID != said[2].From.ID {
				t.Errorf("the original has become another: %+v, then %+v", said[0].From, said[2].From)
			}
			if said[0].From.ID == said[1].From.ID {
				t.Errorf("original and duplicate are one person: %+v", said[1].From)
			}
		})
	}
}

// TestReloadKeeps loads a page again: who it is, what is half written, what is not sent, and where the unread begin all stay.
func TestReloadKeeps(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	l := newLine(t, s.Addr)
	tb := openAt(t, browser, l.addr, "/")
	other := open(t, browser, s, "/")
	tb.say("一")
	other.waitText("一")
	tb.waitSaid()
	name := get[string](tb, `one('#meName').textContent`)
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	tb.write("書きかけ\nの二行")

	tb.do(chromedp.Reload())
	tb.waitLive()
	tb.waitText("一")
	if draft := get[string](tb, `one('textarea').value`); draft != "書きかけ\nの二行" {
		t.Errorf("the draft has become %q", draft)
	}
	if got := get[string](tb, `one('#meName').textContent`); got != name {
		t.Errorf("%s has become %s", name, got)
	}
	tb.wait(`one('.row .sent')`) // still its own
	other.wait(`one('#people').textContent === '2人'`)

	// What cannot go out outlives the page as well.
	l.cut(true, true)
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	tb.press(enter)
	tb.click(seal)
	tb.wait(`all('` + waiting + `').length === 2`)
	post(t, s, "doyasa", "外", "すれ違い")
	l.heal()
	l.drop() // or the browser would ask for the page through what is cut for good
	tb.do(chromedp.Reload())
	tb.waitLive()
	tb.waitSaid()
	for _, tb := range []*tab{tb, other} {
		tb.waitText("書きかけ\nの二行")
		tb.wait(`all('` + rowsHere + `').length === 4`)
		tb.wantTexts("after the reload", "一", "すれ違い", "書きかけ\nの二行", "どやさ")
	}
	said := other.messages()
	if said[0].From.ID != said[len(said)-1].From.ID {
		t.Errorf("the reload made another person: %+v and %+v", said[0].From, said[len(said)-1].From)
	}
	if got := get[string](tb, `one('.unread').nextSibling.querySelector('.words').textContent`); got != "すれ違い" {
		t.Errorf("the unread begin at %q", got)
	}
}

// TestBackAndForth leaves the page and comes back to it as it was.
func TestBackAndForth(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	tb.say("行ってくる")
	tb.waitText("行ってくる")
	tb.waitSaid()
	get[any](tb, `window.kept = true`)
	tb.visit("http://" + s.Addr + "/icon.svg")
	post(t, s, "doyasa", "外", "留守のあいだ")
	// Not by way of the load event: a page that was kept as it was has none.
	trail, err := chromedp.Call(tb.ctx, page.GetNavigationHistory, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	before := trail.Entries[trail.CurrentIndex-1].ID
	tb.do(call(page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: before}))
	tb.waitNoted("留守のあいだ")
	tb.waitLive()
	tb.waitText("留守のあいだ")
	t.Logf("the browser had kept the page as it was: %v", get[bool](tb, `!!window.kept`))
	get[any](tb, `one('textarea').focus()`)
	tb.write("ただいま")
	tb.press(enter)
	tb.waitText("ただいま")
	tb.wantTexts("back again", "行ってくる", "留守のあいだ", "ただいま")
	said := tb.messages()
	if said[0].From.ID != said[len(said)-1].From.ID {
		t.Errorf("the way back made another person: %+v and %+v", said[0].From, said[len(said)-1].From)
	}
	tb.wait(`one('#people').textContent === '1人'`)
}

// TestStorage takes the storage away, or fills it to the last byte: the page works, and forgets.
func TestStorage(t *testing.T) {
	doyasa.Long(t)
	const blocked = `for (const area of ['localStorage', 'sessionStorage']) Object.defineProperty(window, area, {
		get() { throw new DOMException('blocked', 'SecurityError'); },
	});`
	const full = `if (location.protocol !== 'about:') for (const area of [localStorage, sessionStorage]) {
		area.clear();
		for (let size = 1 << 23; size >= 1; size >>= 1)
			try { area.setItem('fill' + size, 'x'.repeat(size)); } catch {}
	}`
	for name, script := range map[string]string{"blocked": blocked, "full": full} {
		t.Run(name, func(t *testing.T) {
			browser := newChromium(t, "")
			s := doyasa.Start(t)
			tb := open(t, browser, s, "/", script)
			tb.click(ownButton)
			tb.wait(`document.activeElement === one('` + ownName + `')`)
			tb.write("さくら")
			tb.press(enter)
			tb.click(peopleButton)
			tb.click(`input[value="dark"]`)
			tb.press(escape)
			tb.say("こんにちは")
			tb.waitText("こんにちは")
			tb.click(seal)
			tb.waitShouts(1)
			tb.waitSaid()
			if rows := tb.rows(); len(rows) != 2 || rows[0].Who != "さくら" {
				t.Errorf("shows %+v", rows)
			}
			tb.do(chromedp.Reload())
			tb.waitText("こんにちは")
			tb.say("もう一度")
			tb.waitText("もう一度")
		})
	}
}
