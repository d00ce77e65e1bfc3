// Package browser_test opens the page, served by the real binary, in a real Chromium, and does with it what people do. It must not
// know how the page is made: it presses, types, looks, and listens to what goes over the wire.
package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// patience bounds every wait: a safety net, not a measure.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { doyasa.Main(m) }

// newChromium starts a browser of the test's own. localhost3000, if not empty, is the address that stands for localhost:3000.
func newChromium(t *testing.T, localhost3000 string) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		doyasa.Skip(t, "needs Chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("accept-lang", "ja,en"))
	if localhost3000 != "" {
		options = append(options, chromedp.Flag("host-resolver-rules", "MAP localhost:3000 "+localhost3000))
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stopAllocator)
	browser, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	return browser
}

// A tab is a page of the browser, and what was noticed of it from outside.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	received []frame  // guarded by mu: WebSocket text messages, in order
	sent     []frame  // guarded by mu
	printed  []string // guarded by mu: the console
	trouble  []string // guarded by mu: dialogs and uncaught exceptions, which no page of ours may have
}

// newTab opens an empty tab in a window of its own, so that it is visible, or behind the others of the browser's window. Scripts run
// before those of every page.
func newTab(t *testing.T, browser context.Context, options []chromedp.ContextOption, scripts ...string) *tab {
	t.Helper()
	tb := &tab{t: t}
	// Tabs end with their browser; ending each by itself takes half a second.
	tb.ctx, _ = chromedp.NewContext(browser, append(options, chromedp.WithListener(tb.notice))...)
	if err := chromedp.Do(tb.ctx); err != nil { // binds the tab to its context, which therefore has no deadline
		t.Fatal(err)
	}
	tb.do(call(network.Enable, network.EnableParams{}), chromedp.EmulateViewport(1280, 800))
	for _, source := range append(scripts, finders) {
		tb.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}))
	}
	t.Cleanup(tb.check)
	return tb
}

// finders are what the expressions of tests look with.
const finders = `window.one = (selector) => document.querySelector(selector);
window.all = (selector) => Array.from(document.querySelectorAll(selector));`

// open is a visible tab with the page at a path of the server, once it is live.
func open(t *testing.T, browser context.Context, s *doyasa.Server, path string, scripts ...string) *tab {
	t.Helper()
	tb := newTab(t, browser, nil, scripts...)
	tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	tb.load(s, path)
	return tb
}

// load opens the page at a path of the server and waits until it is live.
func (tb *tab) load(s *doyasa.Server, path string) {
	tb.t.Helper()
	tb.do(chromedp.Navigate("http://" + s.Addr + path))
	tb.waitLive()
}

// notice is called by the browser's reader for each event and must not ask it anything.
func (tb *tab) notice(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventWebSocketFrameReceived:
		tb.received = appendFrame(tb.received, e.Response.PayloadData)
	case *network.EventWebSocketFrameSent:
		tb.sent = appendFrame(tb.sent, e.Response.PayloadData)
	case *page.EventJavascriptDialogOpening:
		tb.trouble = append(tb.trouble, "dialog: "+e.Message)
		go chromedp.Call(tb.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	case *runtime.EventExceptionThrown:
		tb.trouble = append(tb.trouble, "exception: "+describe(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			var text string
			if json.Unmarshal(arg.Value, &text) != nil {
				text = string(arg.Value)
			}
			tb.printed = append(tb.printed, text)
		}
	case *log.EventEntryAdded:
		tb.printed = append(tb.printed, e.Entry.Text)
	}
}

func describe(e *runtime.ExceptionDetails) string {
	if e.Exception != nil && e.Exception.Description != "" {
		return e.Exception.Description
	}
	return e.Text
}

// check fails the test if a dialog opened or an exception was not caught.
func (tb *tab) check() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, what := range tb.trouble {
		tb.t.Errorf("in the page: %s", what)
	}
}

// call is a protocol command as an action.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

// do runs actions, each to its end.
func (tb *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		tb.t.Fatal(err)
	}
}

// get evaluates an expression in the page; a promise is waited for.
func get[T any](tb *tab, expression string) T {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tb.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wait waits until an expression is true in the page.
func (tb *tab) wait(condition string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	look := fmt.Sprintf(`new Promise((resolve) => {
		const look = () => { if (document.readyState === 'complete' && (%s)) resolve(true); else setTimeout(look, 10); };
		look();
	})`, condition)
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise)); err != nil {
		tb.t.Fatalf("waiting for %s: %v\nthe page, which is %s, says:\n%s", condition, err, get[string](tb, `document.visibilityState`),
			get[string](tb, `document.body.innerText`))
	}
}

// waitPrinted waits until the console has a line that contains text.
func (tb *tab) waitPrinted(text string) {
	tb.t.Helper()
	var lines []string
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-again.C {
		tb.mu.Lock()
		lines = slices.Clone(tb.printed)
		tb.mu.Unlock()
		if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, text) }) {
			return
		}
	}
	tb.t.Fatalf("the console has %q, want %q", lines, text)
}
