package browser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// readTable reads a table of static/test, which the tests of the page's modules and of the server read as well.
func readTable[T any](t *testing.T, name string) (rows []T) {
	t.Helper()
	b, err := os.ReadFile("../../static/test/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) == 0 {
		t.Fatalf("%s has %d rows, %v", name, len(rows), err)
	}
	return rows
}

// rename types a name into the settings and saves it.
func (tb *tab) rename(name string) {
	tb.t.Helper()
	tb.click(ownButton)
	tb.wait(`one('dialog').open`)
	get[any](tb, `one('`+ownName+`').value = `+quote(name))
	tb.press(enter)
}

// TestNames chooses names that somebody may choose, and compares what the page shows with what the room gets. A name that the server
// refuses is refused in the settings, or taken back when the server says so.
func TestNames(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/", `window.spoil = ''; {
		const send = WebSocket.prototype.send;
		WebSocket.prototype.send = function (data) { send.call(this, spoil ? data.replace(spoil, 'a\\u200b') : data); };
	}`)
	const shown = `one('#meName').textContent`
	said := 0
	agree := func(what, want string) {
		t.Helper()
		said++
		tb.say(fmt.Sprint("名乗る ", said))
		tb.waitText(fmt.Sprint("名乗る ", said))
		tb.waitSaid()
		m := tb.messages()
		if got := get[string](tb, shown); got != want || m[len(m)-1].From.Name != want {
			t.Errorf("%s: the page shows %q and the room gets %q, want %q", what, got, m[len(m)-1].From.Name, want)
		}
	}
	now := get[string](tb, shown)
	// The whole table of names, static/test/names.json, is tested on both sides without a browser.
	for _, c := range []struct{ name, want string }{
		{"さくら\u200b", ""}, {"さくら\u200e", ""}, {"さくら\ufeff", ""}, {strings.Repeat("กี่", 31), ""}, {strings.Repeat("क्ष", 17), ""},
		{" 花子\u3000", "花子"}, {"မာလာအောင်", "မာလာအောင်"}, {strings.Repeat("👨‍👩‍👧‍👦", 10), strings.Repeat("👨‍👩‍👧‍👦", 10)},
	} {
		tb.rename(c.name)
		if c.want == "" {
			tb.wait(`one('dialog').open && one('#nameHint').classList.contains('bad')`)
			tb.press(escape)
		} else {
			tb.wait(`!one('dialog').open`)
			now = c.want
		}
		agree(fmt.Sprintf("%+q", c.name), now)
	}

	// A server with other rules than the page's refuses what the page has let through.
	get[any](tb, `spoil = 'さくら'`)
	tb.rename("さくら")
	tb.wait(`one('#hint').textContent.startsWith('その名前は使えません')`)
	get[any](tb, `spoil = ''`)
	tb.wait(shown + ` !== 'さくら'`)
	agree("refused by the server", get[string](tb, shown))
	if kept := get[*string](tb, `localStorage.getItem('doyasa.name')`); kept != nil {
		t.Errorf("the refused name is stored as %s", *kept)
	}
}

// setClock lets a test set the clock of the reader's machine: shift is what it is off by, in milliseconds.
const setClock = `window.shift = 0; { const now = Date.now; Date.now = () => now() + shift; }`

// TestClockSet sets the reader's clock back and forth while the page is open: presses go out, and a dead line is noticed as ever.
func TestClockSet(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	for name, shift := range map[string]int{"back an hour": -3_600_000, "forward an hour": 3_600_000} {
		t.Run(name, func(t *testing.T) {
			s := doyasa.Start(t, "--limits-burst", "2")
			l := newLine(t, s.Addr)
			tb := openAt(t, browser, l.addr, "/", setClock)
			tb.click(seal)
			tb.waitShouts(1)
			get[any](tb, fmt.Sprintf(`shift = %d`, shift))
			for n := range 4 {
				tb.click(seal)
				tb.waitShouts(2 + n)
				tb.say(fmt.Sprint("時刻 ", n))
				tb.waitText(fmt.Sprint("時刻 ", n))
			}
			tb.waitSaid()
			l.cut(true, true)
			get[any](tb, `dispatchEvent(new Event('online'))`)
			tb.waitOffline()
			l.heal()
			tb.say("戻った")
			tb.waitText("戻った")
			tb.waitLive()
		})
	}
}

// translate does to a page what a browser's translator does: elements of its own take the place of texts, whatever they are, and again
// when the texts change.
const translate = `{
	const wrap = (node) => {
		if (node.nodeType !== 3 || !node.data.trim() || ['FONT', 'SCRIPT', 'TEXTAREA'].includes(node.parentNode?.nodeName)) return;
		const [outer, inner] = [document.createElement('font'), document.createElement('font')];
		outer.append(inner);
		inner.append(node.data);
		node.replaceWith(outer);
	};
	const walk = (root) => {
		const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
		const found = [];
		while (texts.nextNode()) found.push(texts.currentNode);
		found.forEach(wrap);
	};
	addEventListener('DOMContentLoaded', () => {
		walk(document.documentElement);
		new MutationObserver(() => walk(document.documentElement)).observe(document, { childList: true, characterData: true, subtree: true });
	});
}`

// TestTranslated has a translator at work on the page: every number and name goes on changing.
func TestTranslated(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	l := newLine(t, s.Addr)
	tb := openAt(t, browser, l.addr, "/", translate)
	tb.wait(`one('#people font')`)
	for n, name := range []string{"一", "二", "三"} {
		post(t, s, "doyasa", name, "どやさ")
		tb.waitShouts(n + 1)
	}
	tb.wait(`one('summary .who').textContent === '3人' && one('.cry b').textContent === '×3'`)
	if !get[bool](tb, `!!one('.cry b font') && !!one('summary time font')`) {
		t.Error("the fold was not translated: this test shows nothing")
	}
	dial(t, s, "doyasa", "四", "doyasa.v1")
	tb.wait(`one('#people').textContent === '2人'`)
	tb.click(seal)
	tb.wait(`one('summary .who').textContent === '4人' && one('.cry b').textContent === '×4' && one('summary .sent')`)
	tb.rename("さくら")
	tb.wait(`one('#meName').textContent === 'さくら'`)
	tb.rename("はなこ")
	tb.wait(`one('#meName').textContent === 'はなこ'`)
	l.cut(true, true)
	for range 3 {
		tb.click(seal)
	}
	tb.wait(`one('` + waiting + ` .cry b').textContent === '×3' || all('` + waiting + `').length > 1`)
	l.drop()
	tb.wait(`one('` + status + `').textContent !== ''`)
	l.heal()
	tb.waitLive()
	tb.waitShouts(7)
	tb.wait(`one('.cry b').textContent === '×7' && one('` + status + `').textContent === ''`)
}

// TestLinks says addresses as people write them into sentences: a link has the whole address and nothing of the sentence.
func TestLinks(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/")
	for text, want := range map[string]string{
		"https://example.org/wiki/Go_(game)":                "https://example.org/wiki/Go_(game)",
		"see (https://example.org/wiki/Go_(game)).":         "https://example.org/wiki/Go_(game)",
		"(https://example.org/a)":                           "https://example.org/a",
		"https://example.org/a[1]{2}, and":                  "https://example.org/a[1]{2}",
		"[https://example.org/a]":                           "https://example.org/a",
		"https://example.org/((a)(b))!":                     "https://example.org/((a)(b))",
		"https://example.org/a)b":                           "https://example.org/a)b",
		"https://example.org/a(":                            "https://example.org/a",
		"http://[::1]:3000":                                 "http://[::1]:3000",
		"http://[::1]":                                      "http://[::1]",
		"https://example.org/?q=(x)&y=1...":                 "https://example.org/?q=(x)&y=1",
		"（https://example.org/a_(b)）です":                     "https://example.org/a_(b)",
		"https://example.org/a" + strings.Repeat(")", 1000): "https://example.org/a",
	} {
		post(t, s, "doyasa", "さくら", text)
		tb.waitText(text)
		if got := get[[]string](tb, `Array.from(all('.words').at(-1).querySelectorAll('a'), (a) => a.textContent)`); !slices.Equal(got, []string{want}) {
			t.Errorf("%.60q links to %q, want %q", text, got, want)
		}
	}
}

// TestPasted pastes texts with every kind of line end, and one with what a terminal prints: they arrive. What the server refuses for its
// content can be changed, as sending it again would change nothing.
func TestPasted(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/", `window.spoil = false; {
		const send = WebSocket.prototype.send;
		WebSocket.prototype.send = function (data) { send.call(this, spoil ? data.replace('だめ', '\\u0001') : data); };
	}`)
	other := open(t, browser, s, "/")
	rows := readTable[struct{ In, Want string }](t, "texts.json")
	rows = append(rows, struct{ In, Want string }{"\x1b[31mred\x1b[0m\x7f", "[31mred[0m"})
	for n, row := range rows {
		if row.Want == "" {
			continue
		}
		tb.do(chromedp.Focus(chromedp.CSS(field)))
		tb.write(fmt.Sprint(n, row.In))
		tb.press(enter)
		other.waitText(fmt.Sprint(n, row.Want))
		tb.waitSaid()
	}
	get[any](tb, `spoil = true`)
	tb.say("だめ")
	tb.wait(`one('#pending .failed')`)
	if got := get[[]string](tb, `all('#pending .failed button').map((button) => button.textContent)`); !slices.Equal(got, []string{"書き直す", "取り消す"}) {
		t.Errorf("a refused text offers %q", got)
	}
	tb.write("書きかけ")
	tb.click(`#pending .failed button`)
	tb.waitSaid()
	if got, want := get[string](tb, `one('textarea').value`), "だめ\n書きかけ"; got != want {
		t.Errorf("the field holds %q, want %q", got, want)
	}
	get[any](tb, `spoil = false`)
	tb.press(enter)
	other.waitText("だめ\n書きかけ")
}

// TestGuestLanguage visits with browsers of many languages: the guest's name is in the language of the page.
func TestGuestLanguage(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	for languages, want := range map[string]string{
		"fr-FR,fr": "en", "de-DE,ja": "ja", "ko-KR": "en", "zh-TW,en,ja": "en", "ja-JP": "ja", "en-AU": "en", "es-419,pt-BR,ja-JP,en": "ja",
	} {
		tb := newTab(t, browser, nil)
		tb.do(call(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
			UserAgent: get[string](tb, `navigator.userAgent`), AcceptLanguage: languages,
		}))
		tb.load(s, "/")
		tb.wait(`one('#meName').textContent`)
		name, language := get[string](tb, `one('#meName').textContent`), get[string](tb, `document.documentElement.lang`)
		guest := map[string]string{"ja": "ゲスト", "en": "Guest "}[want]
		if language != want || !strings.HasPrefix(name, guest) {
			t.Errorf("%s: the page is in %s and the guest is %q, want %s and %q", languages, language, name, want, guest)
		}
	}
}
