package browser_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// watch notes in the page what a hostile text would give away: code that ran, and what the Content-Security-Policy had to stop.
const watch = `window.ran = []; window.violations = [];
addEventListener('securitypolicyviolation', (e) => violations.push(e.effectiveDirective), true);`

// hostile are texts that are code, markup or addresses to somebody, by row.
var hostile = []struct {
	row   string
	texts []string
}{{"X1 markup that runs", []string{
	`<script>ran.push(1);alert(1)</script>`,
	`<img src=x onerror="ran.push(2);alert(2)">`,
	`<svg/onload=alert(3)><style>*{display:none}</style>`,
	`<iframe srcdoc="<script>parent.ran.push(4)</script>"></iframe>`,
	`</div></main><a href="javascript:alert(5)" autofocus onfocus=alert(5)>x</a>`,
}}, {"X2 quotes and entities", []string{
	`"><b>`, `'`, "`", `&lt;b&gt; &amp; &#x3c;script&#x3e;`, `--></script><!--`,
	`\u003cscript\u003ealert(14)\u003c/script\u003e`, `%3Cscript%3Ealert(15)%3C/script%3E`,
}}, {"X3 addresses that are code", []string{
	`javascript:ran.push(6)`, "JaVa\tScript:alert(7)", `data:text/html,<script>alert(8)</script>`, `vbscript:msgbox(9)`,
	`http://javascript:alert(11)@host/"onclick=alert(12)`, `https://example.org/<script>alert(13)</script>`,
}}, {"X4 templates", []string{
	`{{7*7}} ${7*7} <%= 7*7 %> #{7*7} [[7*7]]`, `{{constructor.constructor('alert(10)')()}}`,
}}}

// strange are texts that tear at the layout (rows X5 to X11), and how their words begin where not all is shown at once.
var strange = []struct{ name, text string }{
	{"X5 a million letters without a space", strings.Repeat("w", 1_000_000)},
	{"X5 64 KiB of one word", strings.Repeat("あ", 65536/3)},
	{"X6 100,000 line ends", "上" + strings.Repeat("\n", 100_000) + "下"},
	{"X7 every bidi control", "\u202eoverride\u202d\u2066\u2067\u2068\u202a\u202b\u061c\u200e\u200f left open"},
	{"X7 right to left", "שלום עולם (123) مرحبا"},
	{"X8 zalgo", "z" + strings.Repeat("\u0300\u0316\u0336", 170) + " z"},
	{"X9 families", "家族: " + strings.Repeat("👨‍👩‍👧‍👦", 1000)},
	{"X9 flags, skins, variation selectors", strings.Repeat("🇯🇵👍🏿☀️☀︎", 50)},
	{"X11 invisible", "\ufeff\u200b\u2060\u2028\u2029\u00ad見えない"},
	{"X11 NUL and other controls", "nul\x00 esc\x1b[2J del\x7f bell\x07 c1\u0085\u009b31m"},
	{"a giant's word", "𒐫﷽꧁꧂⸻𒈙"},
}

// wantLiteral fails the test if anything in the page ran, was stopped, or became an element that rows and panels are not made of.
func (tb *tab) wantLiteral() {
	tb.t.Helper()
	for _, what := range []string{"ran", "violations"} {
		if got := get[[]string](tb, what+`.map(String)`); len(got) > 0 {
			tb.t.Errorf("%s: %q", what, got)
		}
	}
	const tags = `all('[role="log"] *, #pending *, dialog li *, bdi *, [role="status"] *').map((el) => el.localName)`
	for _, tag := range get[[]string](tb, tags) {
		if !slices.Contains(strings.Fields("div bdi p time span button details summary ul li b a"), tag) {
			tb.t.Errorf("a text became a <%s>", tag)
		}
	}
	const links = `all('[role="log"] a').map((a) => [a.protocol, a.rel].join(' '))`
	for _, link := range get[[]string](tb, links) {
		if !slices.Contains([]string{"http: noopener noreferrer nofollow", "https: noopener noreferrer nofollow"}, link) {
			tb.t.Errorf("a link has %q", link)
		}
	}
}

// wantOrder fails the test if anything sticks out sideways, rows overlap, or a text has moved its row's name or time.
func (tb *tab) wantOrder() {
	tb.t.Helper()
	const faults = `(() => {
		const faults = [];
		for (const el of [document.documentElement, document.body, one('main')])
			if (el.scrollWidth > el.clientWidth) faults.push(el.localName + ' is ' + el.scrollWidth + ' wide in ' + el.clientWidth);
		const log = one('[role="log"]').getBoundingClientRect();
		let above = -Infinity;
		const [first] = all('` + rowsHere + `');
		const right = (row) => row.querySelector('time').getBoundingClientRect().right;
		for (const row of all('` + rowsHere + `')) {
			const box = row.getBoundingClientRect();
			const said = row.textContent.slice(0, 40);
			if (box.left < log.left - 1 || box.right > log.right + 1) faults.push('sticks out: ' + said);
			if (box.top < above - 1) faults.push('lies over the row before: ' + said);
			if (Math.abs(right(row) - right(first)) > 1) faults.push('its time is elsewhere: ' + said);
			if (box.height > 640) faults.push(box.height + ' px high: ' + said);
			const words = row.querySelector('.words');
			if (words?.scrollWidth > words?.clientWidth) faults.push('its words are cut off: ' + said);
			const [place, time] = [words, row.querySelector('time')].map((el) => el?.getBoundingClientRect());
			if (place?.right > time.left + 1 && place.top < time.bottom - 1 && place.bottom > time.top + 1)
				faults.push('its words lie over the time: ' + said);
			above = box.bottom;
		}
		return faults;
	})()`
	for _, fault := range get[[]string](tb, faults) {
		tb.t.Error(fault)
	}
}

// TestHostileTexts types hostile texts into the page and reads them in another: they stand there as they were typed.
func TestHostileTexts(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	writer := open(t, browser, s, "/", watch)
	reader := open(t, browser, s, "/", watch)
	var all []string
	for _, row := range hostile {
		t.Run(row.row, func(t *testing.T) {
			writer, reader := writer.in(t), reader.in(t)
			for _, text := range row.texts {
				writer.say(text)
				reader.waitText(text)
			}
			all = append(all, row.texts...)
			writer.waitText(all[len(all)-1])
			for _, tb := range []*tab{writer, reader} {
				if got := tb.texts(); !slices.Equal(got, all) {
					t.Errorf("shown\n%q\nwant\n%q", got, all)
				}
				tb.wantLiteral()
				tb.wantOrder()
			}
		})
	}
	// What is not sent yet is text as well, and stays when the page is loaded again.
	writer.do(chromedp.Focus(chromedp.CSS(field)))
	writer.write(all[0])
	writer.do(chromedp.Reload())
	writer.waitText(all[len(all)-1])
	if got := get[string](writer, `one('textarea').value`); got != all[0] {
		t.Errorf("after a reload the line holds %q, want %q", got, all[0])
	}
	writer.wantLiteral()
}

// TestStrangeTexts has texts that no page of ours would send come from other clients.
func TestStrangeTexts(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-message-bytes", "2097152")
	const slow = `window.slow = 0; new PerformanceObserver((list) => {
		for (const task of list.getEntries()) slow = Math.max(slow, task.duration);
	}).observe({ type: 'longtask', buffered: true });`
	tb := open(t, browser, s, "/", watch, slow)
	phone := open(t, browser, s, "/", watch)
	phone.do(chromedp.EmulateViewport(375, 667))
	raw := dial(t, s, "doyasa", "raw")
	for i, c := range strange {
		t.Run(c.name, func(t *testing.T) {
			send(t, raw, c.text)
			after := fmt.Sprintf("隣 %d", i)
			send(t, raw, after)
			tb.waitText(after)
			received := tb.messages() // the server puts something else in the place of what no text may hold
			stored := received[len(received)-2].Text
			for _, tb := range []*tab{tb.in(t), phone.in(t)} {
				tb.waitText(after)
				shown := tb.rows()
				words := shown[len(shown)-2].Words
				if !strings.HasPrefix(stored, words) || len(stored) < 1200 && stored != words {
					t.Errorf("shows %.100q, want %.100q", words, stored)
				}
				if strings.HasSuffix(words, "\u200d") || strings.HasPrefix(strings.TrimPrefix(stored, words), "\u200d") {
					t.Error("cut inside of a family")
				}
				tb.wantOrder()
				tb.wantLiteral()
			}
		})
	}
	t.Logf("longest task in the page: %.0f ms", get[float64](tb, `slow`))

	// All of it on request, in a box of its own.
	opened := get[int](tb, `(() => {
		const folded = all('`+rowsHere+` .body button');
		for (const button of folded) button.click();
		return folded.length;
	})()`)
	if opened < 4 {
		t.Errorf("%d texts can be opened", opened)
	}
	tb.wantOrder()

	// It has no form in UTF-8; JSON can spell it all the same.
	t.Run("X10 a lone surrogate", func(t *testing.T) {
		v1 := dial(t, s, "doyasa", "v1", "doyasa.v1")
		send(t, v1, `{"type":"say","text":"lone \ud800 surrogate"}`)
		tb.in(t).waitText("lone \ufffd surrogate")
	})
}

// in is the same tab in a subtest.
func (tb *tab) in(t *testing.T) *tab {
	return &tab{t: t, ctx: tb.ctx}
}

// TestHostileNames has people with hostile names join and speak.
func TestHostileNames(t *testing.T) {
	doyasa.Long(t)
	people := []struct{ row, name string }{
		{"X1", `<script>alert(1)</script>`}, {"X1", `<img src=x onerror=alert(2)>`}, {"X2", `"><b onclick=alert(3)>`}, {"X2", `&lt;b&gt;`},
		{"X3", `javascript:alert(4)`}, {"X4", `{{7*7}}`}, {"X5", strings.Repeat("W", 32)}, {"X7", "שלום (א)"},
		{"X8", "z" + strings.Repeat("\u0300", 25)}, {"X9", strings.Repeat("🇯🇵", 30)},
	}
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/", watch)
	for _, p := range people {
		t.Run(p.row+" "+p.name, func(t *testing.T) {
			tb := tb.in(t)
			send(t, dial(t, s, "doyasa", p.name), "わたしは "+p.name)
			tb.waitText("わたしは " + p.name)
			rows := tb.rows()
			if got := rows[len(rows)-1].Who; got != p.name {
				t.Errorf("a row is by %q, want %q", got, p.name)
			}
			tb.wantLiteral()
		})
	}
	tb.wantOrder()
	tb.click(peopleButton)
	for _, p := range people {
		tb.wait(fmt.Sprintf(`all('%s').some((el) => el.textContent === %s)`, peopleNames, quote(p.name)))
	}
	if get[bool](tb, `(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(one('dialog'))`) {
		t.Error("the panel can be scrolled sideways")
	}
	tb.wantLiteral()

	// One's own, chosen on the page.
	own := `<img src=x onerror=alert(9)>`
	tb.press(escape)
	tb.wait(`!one('dialog').open`)
	tb.click(ownButton)
	tb.wait(`document.activeElement === one('` + ownName + `')`)
	tb.write(own)
	tb.press(enter)
	tb.say("わたし")
	tb.waitText("わたし")
	tb.waitSaid()
	if rows := tb.rows(); rows[len(rows)-1].Who != own {
		t.Errorf("own row is by %q, want %q", rows[len(rows)-1].Who, own)
	}
	tb.wantLiteral()
}

// TestHostileRooms opens pages of rooms that cannot be.
func TestHostileRooms(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := newTab(t, browser, nil, watch)
	for _, c := range []struct{ row, room string }{
		{"X1", `<script>alert(1)</script>`}, {"X1", `<img src=x onerror=alert(2)>`}, {"X2", `"><b>`}, {"X3", `javascript:alert(3)`},
		{"X4", `{{7*7}}`}, {"X5", strings.Repeat("w", 300)}, {"X6", "a\n\nb"}, {"X7", "\u202eroom"}, {"X8", "z" + strings.Repeat("\u0300", 80)},
		{"X9", "👨‍👩‍👧‍👦"}, {"X11", "a\u200bb"}, {"X11", "a\x00b"},
	} {
		t.Run(c.row+" "+c.room, func(t *testing.T) {
			room := c.room
			tb := tb.in(t)
			// Slashes end a room's name, so what holds one has no page.
			path := "/r/" + url.PathEscape(strings.ReplaceAll(room, "/", ""))
			tb.do(chromedp.Navigate("http://" + s.Addr + path))
			tb.wait(fmt.Sprintf(`one('%s').textContent === %s`, heading, quote(strings.ReplaceAll(room, "/", ""))))
			tb.wait(`one('` + status + `').textContent === 'この部屋の名前は使えません。'`)
			tb.wantLiteral()
		})
	}
}
