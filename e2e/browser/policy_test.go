package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestX15Policy tries from inside of the page what injected code would try: the Content-Security-Policy stops and reports each.
func TestX15Policy(t *testing.T) {
	var asked atomic.Int32
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	t.Cleanup(foreign.Close)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	const trustedTypes = "require-trusted-types-for"
	tb := open(t, browser, s, "/", watch, `window.trusted = trustedTypes.createPolicy('trusted',
		{ createHTML: String, createScript: String, createScriptURL: String });`)
	for _, c := range []struct{ name, attempt, stoppedBy string }{
		{"eval", `eval('ran.push(1)')`, trustedTypes},
		{"eval, trusted", `eval(trusted.createScript('ran.push(1)'))`, "script-src"},
		{"a timer with code", `setTimeout('ran.push(2)')`, trustedTypes},
		{"a timer with code, trusted", `setTimeout(trusted.createScript('ran.push(2)'))`, "script-src"},
		{"a function from text", `new Function('ran.push(3)')()`, trustedTypes},
		{"an inline handler", `el.setAttribute('onclick', 'ran.push(4)'); el.click()`, trustedTypes},
		{"an inline handler, trusted", `el.setAttribute('onclick', trusted.createScript('ran.push(4)')); el.click()`, "script-src-attr"},
		{"markup", `el.innerHTML = '<img src=x onerror=ran.push(5)>'`, trustedTypes},
		{"markup, trusted", `el.innerHTML = trusted.createHTML('<img src=/icon.svg onload=ran.push(5)>')`, "script-src-attr"},
		{"an inline script", `el = document.createElement('script'); el.text = 'ran.push(6)'; document.body.append(el)`, trustedTypes},
		{"an inline script, trusted", `el = document.createElement('script'); el.text = trusted.createScript('ran.push(6)');
			document.body.append(el)`, "script-src-elem"},
		{"a foreign script", `el = document.createElement('script'); el.src = FOREIGN; document.body.append(el)`, trustedTypes},
		{"a foreign script, trusted", `el = document.createElement('script'); el.src = trusted.createScriptURL(FOREIGN);
			document.body.append(el)`, "script-src-elem"},
		{"a foreign module", `return import(FOREIGN)`, "script-src-elem"},
		{"a foreign image", `new Image().src = FOREIGN`, "img-src"},
		{"a foreign font", `return new FontFace('f', 'url(' + FOREIGN + ')').load()`, "font-src"},
		{"a foreign style", `el = document.createElement('link'); el.rel = 'stylesheet'; el.href = FOREIGN; document.head.append(el)`,
			"style-src-elem"},
		{"an inline style", `el.setAttribute('style', 'position: fixed')`, "style-src-attr"},
		{"a foreign request", `return fetch(FOREIGN)`, "connect-src"},
		{"a foreign WebSocket", `new WebSocket(FOREIGN.replace('http', 'ws'))`, "connect-src"},
		{"a frame", `el = document.createElement('iframe'); el.src = FOREIGN; document.body.append(el)`, "frame-src"},
		{"a form that leads away", `el = document.createElement('form'); el.action = FOREIGN; document.body.append(el); el.submit()`,
			"form-action"},
		{"a base", `el = document.createElement('base'); el.href = FOREIGN; document.head.append(el)`, "base-uri"},
		{"an address that is code", `location.href = 'javascript:ran.push(7)'`, "script-src-elem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := tb.in(t)
			attempt := fmt.Sprintf(`{
				const FOREIGN = %s;
				let el = document.body.appendChild(document.createElement('div'));
				violations.length = 0;
				try { Promise.resolve((() => { %s })()).catch(() => {}); } catch {}
			}`, quote(foreign.URL+"/x"), c.attempt)
			// Otherwise eval is free for whoever asks through the protocol.
			_, err := chromedp.Run(tb.ctx, chromedp.Evaluate[chromedp.Void](attempt, func(p *runtime.EvaluateParams) {
				p.AllowUnsafeEvalBlockedByCSP = new(bool)
			}))
			if err != nil {
				t.Fatal(err)
			}
			tb.wait(`violations.length > 0`)
			if got := get[[]string](tb, `violations`); !slices.Contains(got, c.stoppedBy) {
				t.Errorf("stopped by %q, want %s", got, c.stoppedBy)
			}
			if ran := get[[]int](tb, `ran`); len(ran) > 0 {
				t.Errorf("it ran: %v", ran)
			}
		})
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("another server was asked %d times", n)
	}
}

// TestX16Framing puts the page into a frame of another site, where somebody could make people press what they do not see.
func TestX16Framing(t *testing.T) {
	doyasa.Long(t)
	s := doyasa.Start(t)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<iframe src="http://%s/"></iframe>`, s.Addr)
	}))
	t.Cleanup(foreign.Close)
	browser := newChromium(t, "") // which ends before the servers it may hold connections to
	tb := newTab(t, browser, nil)
	// Under the other name of this machine it is another site.
	tb.do(chromedp.Navigate(strings.Replace(foreign.URL, "127.0.0.1", "localhost", 1)))
	tb.waitPrinted(`"frame-ancestors 'self'"`)
}
