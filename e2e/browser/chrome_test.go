// Package browser_test opens the page, served by the real binary, in a real Chromium, and does with it what people do. It must not
// know how the page is made: it presses, types, looks, and listens to what goes over the wire.
package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
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
const patience = 5 * time.Minute

// slowness makes every page run this many times slower than the machine can: DOYASA_SLOW_PAGES=8 shows which test does not wait for
// what it looks at. The number 0, which the variable has when it is not set, slows nothing.
var slowness, _ = strconv.ParseFloat(os.Getenv("DOYASA_SLOW_PAGES"), 64)

func TestMain(m *testing.M) { doyasa.Main(m, func() { shared.stop() }) }

// shared is the one browser of all tests that need nothing else. The first of them starts it, because a start costs several seconds of
// CPU time.
var shared = struct {
	once    sync.Once
	browser context.Context
	err     error
	stop    func()
}{stop: func() {}}

// newChromium is a browser for a test: a profile of its own, which shares windows, storage and cookies with no other, in the shared
// browser. localhost3000, if not empty, is the address that stands for localhost:3000; that takes a browser of the test's own.
func newChromium(t *testing.T, localhost3000 string) context.Context {
	t.Helper()
	path := findChromium(t)
	if localhost3000 != "" {
		browser, stop, err := startChromium(path, chromedp.Flag("host-resolver-rules", "MAP localhost:3000 "+localhost3000))
		t.Cleanup(stop)
		if err != nil {
			t.Fatal(err)
		}
		return browser
	}
	shared.once.Do(func() { shared.browser, shared.stop, shared.err = startChromium(path) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	profile, dispose := chromedp.NewContext(shared.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(dispose)
	if err := chromedp.Do(profile); err != nil {
		t.Fatal(err)
	}
	return profile
}

// findChromium is the path of the browser; the test is skipped if there is none.
func findChromium(t *testing.T) (path string) {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		doyasa.Skip(t, "needs Chromium")
	}
	return path
}

// startChromium starts a browser. stop ends it, and may be called also after an error.
func startChromium(path string, more ...chromedp.ExecAllocatorOption) (browser context.Context, stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("accept-lang", "ja,en"))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	stop = func() {
		closeBrowser()
		stopAllocator()
	}
	return browser, stop, chromedp.Do(browser)
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
	if slowness > 1 {
		tb.do(call(emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: slowness}))
	}
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

// wait waits until an expression is true in the page. As long as the expression throws, because it asks something of an element that
// is not there yet, it is not true.
func (tb *tab) wait(condition string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	look := fmt.Sprintf(`new Promise((resolve) => {
		const isTrue = () => {
			try {
				window.lastThrown = '';
				return (%s);
			} catch (thrown) {
				window.lastThrown = String(thrown);
				return false;
			}
		};
		const look = () => { if (document.readyState === 'complete' && isTrue()) resolve(true); else setTimeout(look, 10); };
		look();
	})`, condition)
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise))
		if err == nil {
			return
		}
		if isGone(err) && ctx.Err() == nil {
			continue // the page is being loaded again, and whoever was looking went with it
		}
		tb.mu.Lock()
		noticed := strings.Join(append(slices.Clone(tb.trouble), tb.printed...), "\n")
		tb.mu.Unlock()
		tb.t.Fatalf("waiting for %s: %v %s\nthe page, which is %s, says:\n%s\nand its console:\n%s", condition, err, get[string](tb, `window.lastThrown ?? ''`),
			get[string](tb, `document.visibilityState`), get[string](tb, `document.body.innerText`), noticed)
	}
}

// isGone tells whether an expression did not end because its page did.
func isGone(err error) bool {
	var refused *cdproto.Error
	return errors.As(err, &refused) && (strings.Contains(refused.Message, "navigated") || strings.Contains(refused.Message, "destroyed") ||
		strings.Contains(refused.Message, "collected"))
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
