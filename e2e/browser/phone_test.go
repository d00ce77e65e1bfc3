package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// phone makes a phone of the tab: size, density, fingers.
func (tb *tab) phone(width, height int64) {
	tb.t.Helper()
	tb.do(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 2, Mobile: true,
	}), call(emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: 5}))
	tb.wait(fmt.Sprintf(`location.protocol === 'about:' || innerWidth === %d && innerHeight === %d`, width, height))
}

// tap touches the middle of what a selector finds.
func (tb *tab) tap(selector string) {
	tb.t.Helper()
	x, y := tb.middle(selector)
	tb.do(chromedp.TapXY(x, y))
}

// targets are the things to press that can be seen now, each with what is wrong about it; links within a text may be as small as it.
const targets = `all('button, textarea, input, summary, a, [tabindex]').flatMap((el) => {
	const target = el.labels?.[0]?.contains(el) ? el.labels[0] : el;
	const { left, top, right, bottom, width, height } = target.getBoundingClientRect();
	const dialog = one('dialog[open]');
	if (!el.checkVisibility({ visibilityProperty: true }) || el.disabled || el.closest('.words') || bottom < 0) return [];
	if (dialog && !dialog.contains(el) || getComputedStyle(el).pointerEvents === 'none') return [];
	const faults = [];
	if (Math.round(width) < 44 || Math.round(height) < 44) faults.push(width + ' x ' + height);
	if (left < 0 || right > innerWidth) faults.push('beyond the side');
	const inside = el.closest('dialog, main');
	if (!inside || inside === el) {
		if (top < 0 || bottom > innerHeight) faults.push('beyond the top or bottom');
		const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
		if (!target.contains(there) && !there?.contains(target)) faults.push('covered by ' + there?.outerHTML.slice(0, 60));
	}
	const name = [el.localName, el.id, el.className, el.ariaLabel ?? el.textContent.slice(0, 20)].filter(Boolean).join(' ');
	return [name + ': ' + faults.join(', ')];
})`

// wantTargets fails the test if something to press is too small for a finger or out of reach, or fewer than least are there.
func (tb *tab) wantTargets(when string, least int) {
	tb.t.Helper()
	found := get[[]string](tb, targets)
	if len(found) < least {
		tb.t.Errorf("%s: only %q can be pressed", when, found)
	}
	for _, target := range found {
		if !strings.HasSuffix(target, ": ") {
			tb.t.Errorf("%s: %s", when, target)
		}
	}
}

// TestPhone holds the page like a phone and presses with a finger.
func TestPhone(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	desk := open(t, browser, s, "/")
	tb := open(t, browser, s, "/")
	tb.phone(375, 667)
	tb.do(chromedp.Reload())
	tb.waitLive()
	tb.wait(`one('main a').checkVisibility()`)
	tb.wantTargets("an empty room", 7)

	tb.tap(seal)
	desk.waitShouts(1)
	tb.waitShouts(1)
	tb.waitSaid()
	if got, want := tb.texts(), []string{"どやさ"}; !slices.Equal(got, want) {
		t.Errorf("one touch shows %q, want %q", got, want)
	}
	// On a touch keyboard Enter makes a line, and the button sends.
	tb.tap(field)
	tb.write("一行目")
	tb.press(enter)
	tb.write("二行目")
	tb.tap(`button[type="submit"]`)
	desk.waitText("一行目\n二行目")

	// A room with everything in it.
	for _, c := range [][2]string{
		{"さくら", "どやさ"}, {"Kenji", "どやさどやさ"}, {"さくら", "おはよう。" + strings.Repeat("とても長いはなし。", 20)},
		{strings.Repeat("名前", 16), strings.Repeat("w", 4000)}, {"Kenji", "https://example.org/" + strings.Repeat("path/", 80)},
	} {
		post(t, s, "doyasa", c[0], c[1])
	}
	tb.waitText("https://example.org/" + strings.Repeat("path/", 80))
	tb.wantOrder()
	tb.wantTargets("a full room", 7)
	tb.tap(peopleButton)
	tb.wait(`one('dialog').open`)
	tb.wantOrder()
	tb.wantTargets("the panel", 10)
	tb.tap(`dialog button`)
	tb.wait(`!one('dialog').open`)

	// Somebody reads further up: the way back is a target as well.
	for n := range 30 {
		post(t, s, "doyasa", "さくら", fmt.Sprint("まだ ", n))
	}
	tb.waitText("まだ 29")
	get[any](tb, `one('main').scrollTo(0, 0)`)
	tb.wait(`one('footer > button').checkVisibility()`)
	tb.wantTargets("further up", 8)

	// On its side.
	tb.phone(667, 375)
	tb.wantOrder()
	tb.wantTargets("on its side", 6)
	tb.tap(seal)
	desk.waitShouts(1 + 3 + 1)

	// The keyboard is open: the text line stays in reach above it.
	tb.phone(375, 667-300)
	tb.tap(field)
	tb.wantOrder()
	tb.wantTargets("with a keyboard", 5)
}

// TestFocusOrder goes through the page with the Tab key alone, and presses with the keyboard.
func TestFocusOrder(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	post(t, s, "doyasa", "さくら", "見て https://example.org/ ね")
	tb.waitText("見て https://example.org/ ね")
	var order []string
	for range 8 {
		tb.press(tabKey)
		order = append(order, get[string](tb, `(({ id, localName }) => id || localName)(document.activeElement)`))
		if !get[bool](tb, `(() => {
			const { outlineStyle, borderBottomColor } = getComputedStyle(document.activeElement);
			const line = document.activeElement.closest('form');
			return outlineStyle !== 'none' || (line && getComputedStyle(line).borderBottomColor) === getComputedStyle(one('`+seal+`')).color;
		})()`) {
			t.Errorf("the focus on %s cannot be seen", order[len(order)-1])
		}
	}
	want := []string{"a", "people", "settings", "scroller", "a", "me", "field", "seal"}
	if !slices.Equal(order, want) {
		t.Errorf("Tab goes along %q, want %q", order, want)
	}
	tb.press(tabKey) // out of the page, and
	tb.press(tabKey) // in again
	tb.press(enter)  // the link that leads straight to the seal
	tb.press(space)
	tb.press(enter)
	tb.waitShouts(2)
	tb.waitSaid()
	if rows := tb.rows(); len(rows) != 2 || rows[1].Words+rows[1].Times != "どやさ×2" {
		t.Errorf("two presses on the keyboard show %+v", rows)
	}
}
