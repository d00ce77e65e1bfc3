package browser_test

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestBlankTexts pastes letters that nobody can see: neither Enter nor the button sends them. Texts that only hold such letters go out as
// they are.
func TestBlankTexts(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	for _, blank := range []string{"\u3164", "\u200b\u2060", "\u2800 \u2800", "\u00ad\u3000\ufe0f", "\U000e0001\U000e0061", "\u034f\u115f"} {
		tb.write(blank)
		tb.wait(`one('` + field + `').value === ` + quote(blank) + ` && one('#send').disabled`)
		tb.press(enter)
		get[bool](tb, `(one('#composer').requestSubmit(), true)`)
		tb.wait(`one('` + field + `').value === ` + quote(blank))
		get[bool](tb, `(one('`+field+`').select(), true)`) // the next text takes its place
	}
	want := []string{"❤\ufe0f", "👨\u200d👩\u200d👧", "می\u200cخواهم", "⠓\u2800⠊"}
	for _, text := range want {
		tb.say(text)
		tb.waitText(text)
	}
	if got := tb.texts(); !slices.Equal(got, want) {
		t.Errorf("the page shows %q, want %q", got, want)
	}
	if said := tb.said(); len(said) != len(want) {
		t.Errorf("sent %+v, want %d texts", said, len(want))
	}
}
