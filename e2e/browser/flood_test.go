package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestX12Flood pours ten thousand messages into an open page: it stays usable, holds a bounded number of rows and ends with
// the newest.
func TestX12Flood(t *testing.T) {
	doyasa.Long(t)
	const many = 10_000
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/", watch, `window.most = 0; new MutationObserver(() => {
		most = Math.max(most, document.querySelectorAll('[role="log"] > *').length);
	}).observe(document, { childList: true, subtree: true });`)
	raw := dial(t, s, "doyasa", "flood")
	for n := range many {
		send(t, raw, fmt.Sprintf("メッセージ %d", n))
	}
	tb.waitText(fmt.Sprintf("メッセージ %d", many-1))
	tb.say("まだ動く")
	tb.waitText("まだ動く")
	tb.waitSaid()
	if most := get[int](tb, `most`); most > 500 {
		t.Errorf("up to %d rows in the document, want at most 500", most)
	}
	if got := tb.messages(); len(got) != many+1 {
		t.Errorf("received %d messages, want %d", len(got), many+1)
	}
	got := tb.texts()
	for i, text := range got[:len(got)-1] {
		if want := fmt.Sprintf("メッセージ %d", many-len(got)+1+i); text != want {
			t.Fatalf("row %d of %d is %q, want %q", i, len(got), text, want)
		}
	}
	bottom := get[float64](tb, `(({ scrollHeight, clientHeight, scrollTop }) => scrollHeight - clientHeight - scrollTop)(one('main'))`)
	if bottom > 1 {
		t.Errorf("the newest is %.0f px below what is shown", bottom)
	}
}

// TestX13Paste pastes far more than may be sent: the page says so and keeps the text.
func TestX13Paste(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	for _, c := range []struct {
		text, hint string
	}{
		{strings.Repeat("あ", 1365), ""}, // 4,095 bytes
		{strings.Repeat("あ", 1370), "あと 5 文字"},
		{strings.Repeat("あ", 350_000), "長すぎます。"}, // 1 MB
	} {
		tb.do(chromedp.Focus(chromedp.CSS(field)))
		get[any](tb, `one('textarea').select()`)
		tb.write(c.text)
		tb.wait(fmt.Sprintf(`one('form ~ [role="status"]').textContent.includes(%s)`, quote(c.hint)))
		if c.hint == "" {
			tb.press(enter)
			tb.wait(fmt.Sprintf(`all('%s').length === 1`, texts))
			continue
		}
		tb.press(enter)
		if n := get[int](tb, `one('textarea').value.length`); n != len([]rune(c.text)) {
			t.Errorf("%d letters are left of %d", n, len([]rune(c.text)))
		}
		if !get[bool](tb, `one('button[type="submit"]').disabled`) {
			t.Error("the button offers to send what is too long")
		}
	}
	if said := textsOf(tb.said()); !slices.Equal(said, []string{strings.Repeat("あ", 1365)}) {
		t.Errorf("%d texts were sent, want 1", len(said))
	}
}

// TestX13SendWhileClosing says something while the connection is on its way to its end: the text waits where it can be seen, and goes
// out once over the next.
func TestX13SendWhileClosing(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/", `{
		const Socket = window.WebSocket;
		window.WebSocket = class extends Socket { constructor(...about) { super(...about); window.socket = this; } };
	}`)
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	tb.write("閉じるところ")
	seen := get[string](tb, `new Promise((resolve) => {
		socket.close();
		one('button[type="submit"]').click();
		const state = socket.readyState;
		requestAnimationFrame(() => setTimeout(() => resolve(state + ' ' + one('`+waiting+` .words')?.textContent)));
	})`)
	if seen != "2 閉じるところ" {
		t.Errorf("with the socket in state and on its way: %s; want 2, closing, and the text", seen)
	}
	tb.waitText("閉じるところ")
	tb.waitSaid()
	tb.wantTexts("after all", "閉じるところ")
	if said := tb.said(); len(said) != 1 {
		t.Errorf("sent %d times, want once", len(said))
	}
}
