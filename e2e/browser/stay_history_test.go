package browser_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// readUp goes to the top of what is there, once, and tells how far the text that was there has moved when older ones have come: not at
// all, if the reader's place is kept. It tells -1 if there was nothing older.
const readUp = `(async () => {
	const scroller = one('main');
	const rows = () => all('` + rowsHere + `');
	const first = rows()[0].textContent;
	scroller.scrollTop = 0;
	const top = rows()[0].getBoundingClientRect().top;
	const wordsOf = (row) => row.querySelector('.words').textContent;
	const words = wordsOf(rows()[0]);
	for (;;) {
		await new Promise(requestAnimationFrame);
		if (rows()[0].textContent !== first) break;
		if (!one('#older').checkVisibility()) return -1;
	}
	await new Promise(requestAnimationFrame);
	const place = rows().find((row) => wordsOf(row) === words);
	return place ? Math.abs(place.getBoundingClientRect().top - top) : 1e6;
})()`

// TestScrollBack reads back through everything that is kept, while others go on: the place stays, the rows in the document stay few, a
// pill counts what is new, and the way back leads to the newest.
func TestScrollBack(t *testing.T) {
	const many = 960
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	raw := dial(t, s, "doyasa", "さくら")
	for n := range many {
		send(t, raw, fmt.Sprintf("記録 %d %s", n, strings.Repeat("長い", n%40)))
	}
	waitHistory(t, s, fmt.Sprintf("記録 %d %s", many-1, strings.Repeat("長い", (many-1)%40)))
	tb := open(t, browser, s, "/")
	tb.wait(fmt.Sprintf(`all('%s').length === 50`, texts))
	seen := map[string]bool{}
	look := func() {
		for _, text := range tb.texts() {
			seen[text] = strings.HasPrefix(text, "記録")
		}
		if rows := get[int](tb, `one('[role="log"]').children.length`); rows > 500 {
			t.Errorf("%d rows in the document", rows)
		}
	}
	look()
	for pages := 0; ; pages++ {
		moved := get[float64](tb, readUp)
		if moved == -1 {
			break
		}
		if moved > 1 {
			t.Fatalf("page %d: the reader's place moved by %v px", pages, moved)
		}
		look()
		if pages == 2 {
			for n := range 3 {
				place := get[float64](tb, `one('main').scrollTop`)
				post(t, s, "doyasa", "外", fmt.Sprint("その間に ", n))
				tb.wait(fmt.Sprintf(`one('#pill').textContent === '新着 %d 件'`, n+1))
				if now := get[float64](tb, `one('main').scrollTop`); now != place {
					t.Errorf("what arrived moved the reader from %v to %v", place, now)
				}
			}
		}
		if pages > 60 {
			t.Fatal("there is no end to what is older")
		}
	}
	maps.DeleteFunc(seen, func(_ string, old bool) bool { return !old })
	if len(seen) != many {
		t.Errorf("%d texts were seen on the way up, want %d", len(seen), many)
	}
	if first := tb.texts()[0]; first != "記録 0 " && first != "記録 0" {
		t.Errorf("the oldest is %q", first)
	}
	// The key that leads to the end, wherever the focus is; then up again, and the pill.
	tb.press(key{"End", "End", "", 35})
	tb.waitText("その間に 2")
	tb.wait(atBottom)
	get[any](tb, `one('main').scrollTop -= 300`)
	tb.wait(`one('#pill').checkVisibility()`)
	tb.click(`#pill`)
	tb.wait(atBottom)
	get[any](tb, `one('main').scrollTop -= 300`)
	tb.wait(`one('#pill').checkVisibility()`)
	tb.press(escape)
	tb.wait(atBottom)
	// Nothing was missed up there, so nothing is unread.
	tb.say("自分で")
	tb.waitText("自分で")
	tb.waitSaid()
	if n := get[int](tb, `all('.unread').length`); n > 0 {
		t.Error("one's own words are told to be unread")
	}
	// Within 50 px of the end, it sticks to it.
	get[any](tb, `one('main').scrollTop -= 40`)
	post(t, s, "doyasa", "外", "くっつく")
	tb.waitText("くっつく")
	tb.wait(atBottom)
}

const atBottom = `(({ scrollHeight, clientHeight, scrollTop }) => scrollHeight - clientHeight - scrollTop < 1)(one('main')) && one('#pill').hidden`

// TestFoldedHistory opens a room in which the newest page of history is one fold: older pages fill the view by themselves.
func TestFoldedHistory(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	raw := dial(t, s, "doyasa", "さくら")
	for n := range 40 {
		send(t, raw, fmt.Sprint("ことば ", n))
	}
	for range 300 {
		send(t, raw, "どやさ")
	}
	waitHistory(t, s, "どやさ")
	(&tab{t: t}).waitUntil("all of it", func() bool {
		return len(history(t, s, "doyasa")) == 200 && !slices.Contains(textsOf(history(t, s, "doyasa")), "ことば 39")
	})
	tb := open(t, browser, s, "/")
	tb.waitText("ことば 39")
	tb.wait(`one('main').scrollHeight > one('main').clientHeight`)
	tb.wait(atBottom)
	if got := tb.texts(); got[len(got)-1] != "どやさ×300" {
		t.Errorf("the fold reads %q, want どやさ×300", got[len(got)-1])
	}
	// A fold opens, and tells who.
	tb.wait(`one('summary')`)
	post(t, s, "doyasa", "Kenji", "どやさどやさ")
	tb.wait(`all('` + rowsHere + `').at(-1).textContent.includes('×302')`)
	get[any](tb, `all('summary').at(-1).click()`)
	tb.wait(`all('.tally li').map((li) => li.textContent).join() === 'さくら×300,Kenji×2'`)
}

// TestX12TenSeconds pours ten thousand messages into an open tab within ten seconds, and asks the tab something all the while: it answers.
func TestX12TenSeconds(t *testing.T) {
	doyasa.Long(t)
	const many, within = 10_000, 10 * time.Second
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/", `window.most = 0; new MutationObserver(() => {
		most = Math.max(most, document.querySelectorAll('*').length);
	}).observe(document, { childList: true, subtree: true });`)
	raw := dial(t, s, "doyasa", "flood")
	begun := time.Now()
	poured := make(chan time.Duration, 1)
	go func() {
		pace := time.NewTicker(within / 200)
		defer pace.Stop()
		for n := range many {
			text := fmt.Sprintf("メッセージ %d", n)
			if n%3 == 0 {
				text = "どやさ"
			}
			if raw.Write(t.Context(), 1, []byte(text)) != nil { // the wait below fails
				break
			}
			if n%(many/200) == 0 {
				<-pace.C
			}
		}
		poured <- time.Since(begun)
	}()
	var answers []time.Duration
	var took time.Duration
	for took == 0 {
		asked := time.Now()
		get[int](tb, `1`)
		answers = append(answers, time.Since(asked))
		select {
		case took = <-poured:
		default:
		}
	}
	tb.waitText(fmt.Sprintf("メッセージ %d", many-2))
	caughtUp := time.Since(begun)
	slices.Sort(answers)
	middle, longest := answers[len(answers)/2], answers[len(answers)-1]
	t.Logf("%d messages in %v, all shown after %v; asked %d times, the tab answered in %v (median), %v (longest); up to %d elements", many,
		took.Round(time.Millisecond), caughtUp.Round(time.Millisecond), len(answers), middle, longest, get[int](tb, `most`))
	if len(answers) < 3 { // it was held up until all had come
		t.Errorf("the tab answered %d times in %v", len(answers), took)
	}
	if most := get[int](tb, `most`); most > 2500 {
		t.Errorf("up to %d elements in the document", most)
	}
	if got := len(tb.messages()); got != many {
		t.Errorf("received %d messages, want %d", got, many)
	}
	tb.wait(fmt.Sprintf(`one('%s').textContent.replace(',', '') === '%d'`, shouts, (many+2)/3))
}

// TestKeyboard has a phone's keyboard lie over the page, as iOS does it, which tells of it by its visual viewport alone.
func TestKeyboard(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := newTab(t, browser, nil, `Object.defineProperty(window, 'visualViewport', { value: Object.assign(new EventTarget(), {
		height: 667, width: 375, scale: 1, offsetTop: 0, offsetLeft: 0 }) });`)
	tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	tb.phone(375, 667)
	tb.load(s, "/")
	for n := range 30 {
		post(t, s, "doyasa", "さくら", fmt.Sprint("ことば ", n))
	}
	tb.waitText("ことば 29")
	const told = `Object.assign(visualViewport, { height: %v, scale: %v, offsetTop: %v }).dispatchEvent(new Event('resize'))`
	tell := func(height, scale, offset float64) { get[any](tb, fmt.Sprintf(told, height, scale, offset)) }
	// It opens just when a message was drawn: between the list's own scrolling and the next frame, which tells of that.
	get[any](tb, `new MutationObserver((_, observer) => { observer.disconnect(); setTimeout(() => `+fmt.Sprintf(told, 667-291, 1, 120)+`); })
		.observe(one('[role="log"]'), { childList: true })`)
	post(t, s, "doyasa", "さくら", "ことば 30")
	const line = `(({ top, bottom }) => [top, bottom])(one('#composer').getBoundingClientRect())`
	tb.wait(`!one('` + seal + `').checkVisibility()`)
	at := get[[]float64](tb, line)
	if at[0] < 120 || at[1] > 120+667-291 {
		t.Errorf("the text line lies from %v to %v, which is not within what is seen, 120 to %d", at[0], at[1], 120+667-291)
	}
	tb.wait(atBottom)
	tell(667, 1, 0)
	tb.wait(`one('` + seal + `').checkVisibility()`)
	tell(667/2., 2, 100) // zoomed in by hand: nothing moves
	tb.wait(`one('` + seal + `').checkVisibility() && one('body').getBoundingClientRect().height === 667`)
}

// TestCtrlEnter chooses Ctrl+Enter to send with: Enter is a new line then, and the choice stays.
func TestCtrlEnter(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	tb.click(peopleButton)
	tb.click(`input[value="ctrl"]`)
	tb.press(escape)
	for _, round := range []string{"一", "二"} {
		tb.do(chromedp.Focus(chromedp.CSS(field)))
		tb.compose("かんじ")
		tb.composingEnter()
		tb.write("漢字" + round)
		tb.composed()
		tb.press(enter)
		tb.write("次の行")
		if got := get[string](tb, `one('textarea').value`); got != "漢字"+round+"\n次の行" {
			t.Errorf("the field holds %q", got)
		}
		tb.press(enter, 2) // with Ctrl
		tb.waitText("漢字" + round + "\n次の行")
		tb.waitSaid()
		tb.do(chromedp.Reload())
		tb.waitLive()
	}
}
