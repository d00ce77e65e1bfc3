package browser_test

import (
	"fmt"
	"image"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// look is what the reader sees at the top left of an element, so many pixels wide and high.
func (tb *tab) look(selector string, width, height int) *image.RGBA {
	tb.t.Helper()
	at := get[[]float64](tb, `(({ left, top }) => [left, top])(one(`+quote(selector)+`).getBoundingClientRect())`)
	seen := tb.shot()
	x, y := int(math.Round(at[0])), int(math.Round(at[1]))
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width {
		for j := range height {
			out.Set(i, j, seen.At(x+i, y+j))
		}
	}
	return out
}

// unlike is the share of pixels in which two pictures of one size clearly differ.
func unlike(a, b *image.RGBA) float64 {
	n := 0
	for i := 0; i < len(a.Pix); i += 4 {
		far := 0
		for c := range 3 {
			far += int(math.Abs(float64(a.Pix[i+c]) - float64(b.Pix[i+c])))
		}
		if far > 150 {
			n++
		}
	}
	return float64(n) / float64(len(a.Pix)/4)
}

// TestForcedColours looks at the page in the few colours that a reader with high contrast has chosen: what differs in state differs in
// looks.
func TestForcedColours(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			s := doyasa.Start(t)
			l := newLine(t, s.Addr)
			tb := openAt(t, browser, l.addr, "/")
			tb.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: scheme},
				{Name: "prefers-reduced-motion", Value: "reduce"},
			}}))
			tb.wait(`matchMedia('(forced-colors: active)').matches`)
			differ := func(what string, a, b *image.RGBA, least float64) {
				t.Helper()
				if share := unlike(a, b); share < least {
					t.Errorf("%s: only %.0f %% of the pixels differ, want %.0f %%", what, 100*share, 100*least)
				}
			}
			tb.wait(`one('#people').textContent === '1人'`)
			here := tb.look(`#people`, 10, 44)
			disabled := tb.look(`#send`, 44, 48)
			sealOn := tb.look(`#seal`, 128, 128)
			tb.do(chromedp.Focus(chromedp.CSS(field)))
			focused := tb.look(`#field`, 60, 48)
			get[any](tb, `document.activeElement.blur()`)
			differ("the field with and without the focus", focused, tb.look(`#field`, 60, 48), 0.03)
			get[any](tb, `one('#field').focus()`)
			tb.write("色")
			tb.wait(`!one('#send').disabled`)
			differ("the arrow that sends, enabled and disabled", disabled, tb.look(`#send`, 44, 48), 0.02)
			tb.click(peopleButton)
			tb.wait(`one('dialog').open`)
			for _, name := range []string{"language", "theme", "enter", "sound"} {
				chosen := tb.look(`input[name="`+name+`"]:checked`, 12, 12)
				differ("chosen and unchosen "+name, chosen, tb.look(`input[name="`+name+`"]:not(:checked)`, 12, 12), 0.2)
			}
			tb.press(escape)
			if share := unlike(sealOn, image.NewRGBA(sealOn.Rect)); share == 0 || unlike(sealOn, fill(sealOn)) < 0.1 {
				t.Error("nothing is carved in the seal")
			}
			l.cut(true, true)
			l.drop()
			tb.waitOffline()
			tb.wait(`document.body.classList.contains('away')`)
			differ("the dot with and without a connection", here, tb.look(`#people`, 10, 44), 0.02)
			differ("the seal with and without a connection", sealOn, tb.look(`#seal`, 128, 128), 0.2)
		})
	}
}

// fill is a picture all in the colour of another one's point between rim and frame.
func fill(of *image.RGBA) *image.RGBA {
	out := image.NewRGBA(of.Rect)
	for x := range of.Rect.Dx() {
		for y := range of.Rect.Dy() {
			out.Set(x, y, of.At(of.Rect.Dx()/2, of.Rect.Dy()*9/10))
		}
	}
	return out
}

// TestZoomed opens the page in windows as low and narrow as a zoom of 400 % makes them: the seal is there and can be pressed, and so can
// everything else.
func TestZoomed(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/")
	post(t, s, "doyasa", "さくら", "おはよう。"+strings.Repeat("とても長いはなし。", 20))
	for n, size := range [][2]int64{{320, 256}, {320, 200}, {256, 256}, {479, 256}, {640, 250}, {400, 300}, {1280, 256}} {
		tb.do(chromedp.EmulateViewport(size[0], size[1]))
		when := fmt.Sprintf("%d x %d", size[0], size[1])
		tb.wait(fmt.Sprintf(`innerWidth === %d && innerHeight === %d`, size[0], size[1]))
		tb.wantOrder()
		tb.wantTargets(when, 5)
		if room := get[float64](tb, `one('textarea').getBoundingClientRect().width`); room < 80 {
			t.Errorf("%s: the text field is %v px wide", when, room)
		}
		tb.click(seal)
		tb.waitShouts(n + 1)
		tb.say("小さな窓 " + when)
		tb.waitText("小さな窓 " + when)
		tb.click(`#settings`)
		tb.wait(`one('dialog').open`)
		tb.wantOrder()
		tb.press(escape)
	}
}

// TestOldBrowser takes away what browsers lack that are still about: the page works without it.
func TestOldBrowser(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	for name, script := range map[string]string{
		"Intl.Segmenter": `delete Intl.Segmenter`,
		"ResizeObserver": `delete window.ResizeObserver`,
		"visualViewport": `delete window.visualViewport`,
		"all of them and more": `delete Intl.Segmenter; delete window.ResizeObserver; delete window.visualViewport; delete AbortSignal.timeout;
			delete URL.canParse; delete window.BroadcastChannel; delete Object.hasOwn; delete Array.prototype.at; delete Navigator.prototype.vibrate;
			delete Element.prototype.ariaLive; delete Element.prototype.ariaBusy; delete Navigator.prototype.setAppBadge; delete window.AudioContext`,
	} {
		t.Run(name, func(t *testing.T) {
			s := doyasa.Start(t, "--limits-messages-per-second", "0")
			for n := range 30 {
				post(t, s, "doyasa", "さくら", fmt.Sprint("以前 ", n))
			}
			tb := open(t, browser, s, "/", script)
			tb.waitText("以前 29")
			tb.wait(atBottom)
			tb.rename("はなこ")
			tb.say("こんにちは https://example.org/a")
			tb.waitText("こんにちは https://example.org/a")
			tb.wait(`one('.words a')`)
			tb.click(seal)
			tb.waitShouts(1)
			tb.waitSaid()
			tb.do(chromedp.EmulateViewport(1280, 500))
			tb.wait(`innerHeight === 500`)
			tb.wait(atBottom)
			tb.do(chromedp.Focus(chromedp.CSS(field)))
			tb.write("一行\n二行\n三行\n四行")
			tb.wait(atBottom)
			tb.wait(`one('[role="log"]').getAttribute('aria-live') === 'polite'`)
			get[any](tb, `one('main').scrollTo(0, 0)`)
			tb.wait(`one('#pill').checkVisibility() && one('[role="log"]').getAttribute('aria-live') === 'off'`)
			if rows := tb.rows(); rows[len(rows)-1].Who != "はなこ" {
				t.Errorf("the last row is %+v", rows[len(rows)-1])
			}
		})
	}
}

// TestTooOldBrowser opens the page where it cannot run: it says so, in both languages.
func TestTooOldBrowser(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	for name, prepare := range map[string]func(*tab){
		"a feature is missing": func(tb *tab) { tb.before(`delete Intl.PluralRules`) },
		"no WebSocket":         func(tb *tab) { tb.before(`delete window.WebSocket`) },
		"a module is not understood": func(tb *tab) {
			tb.do(call(network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/js/store.js", Block: true}}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tb := newTab(t, browser, nil)
			prepare(tb)
			tb.visit("http://" + s.Addr + "/")
			tb.wait(`one('#broken').checkVisibility()`)
			if text := get[string](tb, `one('#broken').innerText`); !strings.Contains(text, "ブラウザー") || !strings.Contains(text, "browser") {
				t.Errorf("the page says %q", text)
			}
			if !get[bool](tb, `one('#broken').contains(document.elementFromPoint(innerWidth / 2, 200))`) {
				t.Error("the words are covered")
			}
			tb.mu.Lock()
			tb.trouble = nil // the exception that the page could not start for
			tb.mu.Unlock()
		})
	}
}

// TestShakyStart answers the first request for one module as a proxy in trouble does. The page starts all the same.
func TestShakyStart(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	toServer := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr})
	for _, module := range []string{"/js/main.js", "/js/store.js"} {
		t.Run(module, func(t *testing.T) {
			var asked atomic.Int32
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == module && asked.Add(1) == 1 {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				toServer.ServeHTTP(w, r)
			}))
			t.Cleanup(proxy.Close)
			tb := newTab(t, browser, nil)
			tb.visit(proxy.URL + "/")
			tb.waitLive()
			tb.say("着いた")
			tb.waitText("着いた")
			if n := asked.Load(); n != 2 {
				t.Errorf("%s was asked for %d times, want 2", module, n)
			}
		})
	}
}

// before adds a script that runs before those of each page.
func (tb *tab) before(source string) {
	tb.t.Helper()
	tb.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}))
}

// sheets is how many pages the tab's page takes on paper.
func (tb *tab) sheets() int {
	tb.t.Helper()
	paper, err := chromedp.Call(tb.ctx, page.PrintToPDF, page.PrintToPDFParams{})
	if err != nil {
		tb.t.Fatal(err)
	}
	return len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(paper.Data, -1))
}

// TestPrinted prints the log: it goes on over as many pages as it needs, with every row that the page holds, long texts whole, and the
// screen is as before.
func TestPrinted(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	tb := open(t, browser, s, "/")
	say := func(name string, from, to int) {
		for n := from; n < to; n++ {
			post(t, s, "doyasa", fmt.Sprint(name, n%7), fmt.Sprint("紙に ", n))
		}
		tb.waitText(fmt.Sprint("紙に ", to-1))
	}
	say("客", 0, 50)
	fifty := tb.sheets()
	say("客", 50, 400)
	all := tb.sheets()
	if fifty < 2 || all < 5*fifty {
		t.Errorf("50 rows take %d pages and 400 rows %d, want at least 2, and 5 times that", fifty, all)
	}
	if rows := len(tb.rows()); rows > 210 {
		t.Errorf("%d rows stay on the screen after printing", rows)
	}
	tb.wait(atBottom)
	before := tb.texts()
	post(t, s, "doyasa", "長", strings.Repeat("長いはなし\n", 250))
	tb.wait(`one('.words.folded')`)
	if long := tb.sheets(); long < all+5 {
		t.Errorf("with a text of 250 lines the log takes %d pages, without %d", long, all)
	}
	tb.wait(`one('.words.folded') && !one('.words.opened')`)
	if after := tb.texts(); !slices.Equal(after[:len(after)-1], before[len(before)-len(after)+1:]) {
		t.Errorf("after printing the log reads %.200q, before %.200q", after, before)
	}
	// On paper as on the screen, dark letters are on a light ground, and nothing is there to press.
	tb.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}))
	get[any](tb, `document.documentElement.dataset.theme = 'dark'`)
	tb.wantContrast("printed")
	if ink := get[string](tb, `getComputedStyle(document.body).color`); ink != "rgb(31, 27, 22)" {
		t.Errorf("a dark page is printed in %s", ink)
	}
	if left := get[[]string](tb, `all('button, textarea').filter((el) => el.checkVisibility()).map((el) => el.id)`); !slices.Equal(left, []string{"people"}) {
		t.Errorf("on paper there are the buttons %q", left)
	}
}
