package browser_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// recordKeys notes what the field hears, so that a test can tell that it has simulated what it meant to.
const recordKeys = `window.heard = [];
for (const type of ['compositionstart', 'compositionend', 'keydown'])
	addEventListener(type, (e) => heard.push(type === 'keydown' ? [type, e.key, e.keyCode, e.isComposing].join(' ') : type), true);`

// compose shows a text as what an input method has so far.
func (tb *tab) compose(text string) {
	tb.t.Helper()
	n := int64(len([]rune(text)))
	tb.do(call(input.ImeSetComposition, input.ImeSetCompositionParams{Text: text, SelectionStart: n, SelectionEnd: n}))
}

// composingEnter is the Enter that goes to the input method, as the page hears it: keyCode 229 says that it is not for the page.
func (tb *tab) composingEnter() {
	tb.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		tb.do(call(input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 229, NativeVirtualKeyCode: 229,
		}))
	}
}

// composed waits until the end of a composition is over for the page as well: for a moment it keeps an Enter from sending, and no hand
// is as fast as a test.
func (tb *tab) composed() {
	tb.t.Helper()
	get[any](tb, `new Promise((resolve) => setTimeout(resolve))`)
}

// wantField fails the test unless the field holds text and nothing was sent but said.
func (tb *tab) wantField(when, text string, said ...string) {
	tb.t.Helper()
	if got := get[string](tb, `one('textarea').value`); got != text {
		tb.t.Errorf("%s: the field holds %q, want %q", when, got, text)
	}
	if got := textsOf(tb.said()); !slices.Equal(got, said) {
		tb.t.Errorf("%s: sent %q, want %q", when, got, said)
	}
}

func textsOf(frames []frame) (texts []string) {
	for _, f := range frames {
		texts = append(texts, f.Text)
	}
	return texts
}

// TestComposition writes Japanese as an input method does: readings, candidates, Enter to choose, Enter to send.
func TestComposition(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/", recordKeys)
	other := open(t, browser, s, "/")

	tb.do(chromedp.Focus(chromedp.CSS(field)))
	for _, shown := range []string{"n", "に", "にh", "にほ", "にほんg", "にほんご", "日本語"} {
		tb.compose(shown)
	}
	tb.composingEnter()
	tb.wantField("Enter while composing", "日本語")
	tb.write("日本語") // the choice is made
	tb.wantField("the composition has ended", "日本語")

	// A second clause behind the first.
	tb.compose("ですk")
	tb.composingEnter()
	tb.wantField("Enter in the second clause", "日本語ですk")
	tb.write("ですか")
	tb.wantField("the second clause has ended", "日本語ですか")
	tb.composed()

	tb.press(enter)
	other.waitText("日本語ですか")
	tb.waitSaid()
	tb.wantField("Enter after it", "", "日本語ですか")
	for i, shown := range [][]string{tb.texts(), other.texts()} {
		if want := []string{"日本語ですか"}; !slices.Equal(shown, want) {
			t.Errorf("tab %d shows %q, want %q", i, shown, want)
		}
	}
	want := []string{"compositionstart", "keydown Enter 229 true", "compositionend", "compositionstart", "keydown Enter 229 true",
		"compositionend", "keydown Enter 13 false"}
	if got := get[[]string](tb, `heard`); !slices.Equal(got, want) {
		t.Errorf("the page heard %q, want %q: this was no composition", got, want)
	}
}

// TestSafariComposition has the order of events of Safari, which ends a composition before it tells of the Enter that ended it.
func TestSafariComposition(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	for _, c := range []struct {
		name    string
		keyCode int
	}{
		{"with the sign of an input method", 229},
		{"with an Enter like any other", 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := open(t, browser, s, "/")
			tb.do(chromedp.Focus(chromedp.CSS(field)))
			get[any](tb, fmt.Sprintf(`(() => {
				const field = one('textarea');
				const fire = (Kind, type, init) => field.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, ...init }));
				fire(CompositionEvent, 'compositionstart');
				field.value = '漢字';
				fire(InputEvent, 'input', { isComposing: true });
				fire(CompositionEvent, 'compositionend', { data: '漢字' });
				fire(KeyboardEvent, 'keydown', { key: 'Enter', code: 'Enter', keyCode: %d });
				fire(KeyboardEvent, 'keyup', { key: 'Enter', code: 'Enter', keyCode: 13 });
			})()`, c.keyCode))
			tb.wantField("the Enter that ended the composition", "漢字")
			tb.composed()
			tb.press(enter)
			tb.waitText("漢字")
			tb.wantField("the next Enter", "", "漢字")
		})
	}
}

// TestEnter tells the Enter that sends from those that do not.
func TestEnter(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	tb.write("一行目")
	tb.press(enter, shift)
	tb.write("二行目")
	tb.wantField("Shift and Enter", "一行目\n二行目")
	tb.press(enter)
	tb.waitText("一行目\n二行目")
	tb.press(enter)
	tb.write("  \n ")
	tb.press(enter)
	tb.say("終わり")
	tb.waitText("終わり")
	tb.wantField("Enter in an empty line", "", "一行目\n二行目", "終わり")
}
