package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestX14ServerGone stops the server under three tabs and starts it again: they come back by themselves, and what was said meanwhile goes
// out once.
func TestX14ServerGone(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var tabs []*tab
	for range 3 {
		tabs = append(tabs, open(t, browser, s, "/"))
	}
	tabs[0].say("停止の前")
	for _, tb := range tabs {
		tb.waitText("停止の前")
	}
	tabs[0].waitSaid()

	s.Terminate()
	for _, tb := range tabs {
		tb.waitOffline()
	}
	if status := s.Wait(patience); status != 0 {
		t.Fatalf("after SIGTERM with three tabs: status %d, want 0", status)
	}
	tabs[1].say("オフラインの間")
	for range 3 {
		tabs[2].click(seal)
	}
	tabs[1].wait(fmt.Sprintf(`all('%s').map((row) => row.textContent).join().includes('オフラインの間')`, waiting))
	tabs[2].wait(`one('` + seal + `').innerText.includes('+3')`)
	tabs[1].wait(`one('` + status + `').textContent !== ''`) // it says so, once the trouble lasts
	if said := tabs[1].said(); len(said) > 0 {
		t.Errorf("sent over no connection: %v", said)
	}

	again := doyasa.Start(t, "--listen", s.Addr)
	for i, tb := range tabs {
		tb.waitLive()
		tb.waitText("オフラインの間")
		tb.wait(fmt.Sprintf(`one('%s').textContent === '3'`, shouts))
		tb.waitSaid()
		tb.wait(`one('` + status + `').textContent === ''`)
		if got := get[bool](tb, `one('`+seal+`').innerText.includes('+')`); got {
			t.Errorf("tab %d still shows presses that wait", i)
		}
	}
	// Messages after that, each once.
	tabs[2].say("戻ったあと")
	post(t, again, "doyasa", "curl", "外から")
	for i, tb := range tabs {
		tb.waitText("戻ったあと")
		tb.waitText("外から")
		got := tb.texts()
		slices.Sort(got[1:]) // which of the returned is first is not told
		if want := []string{"停止の前", "どやさ×3", "オフラインの間", "外から", "戻ったあと"}; !slices.Equal(got, want) {
			t.Errorf("tab %d shows %q, want %q", i, got, want)
		}
	}
	kept := textsOf(history(t, again, "doyasa"))
	slices.Sort(kept)
	if want := []string{"どやさどやさどやさ", "オフラインの間", "外から", "戻ったあと"}; !slices.Equal(kept, want) {
		t.Errorf("the server keeps %q, want %q", kept, want)
	}
}

// TestReload loads a page again while a text waits for the connection: it is kept, goes out once, and nothing is shown twice.
func TestReload(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := open(t, browser, s, "/")
	other := open(t, browser, s, "/")
	tb.say("一")
	tb.waitText("一")
	tb.do(chromedp.Reload())
	tb.waitLive()
	tb.say("二")
	for _, tb := range []*tab{tb, other} {
		tb.waitText("二")
		if got, want := tb.texts(), []string{"一", "二"}; !slices.Equal(got, want) {
			t.Errorf("shows %q, want %q", got, want)
		}
	}
	if get[string](tb, `one('`+peopleButton+`').textContent`) != get[string](other, `one('`+peopleButton+`').textContent`) {
		t.Error("the reload has made another person of the tab")
	}
	if from := other.messages(); from[0].From.ID != from[1].From.ID {
		t.Errorf("before and after a reload: %+v and %+v", from[0].From, from[1].From)
	}
}

// TestX14Flapping drops the connection again and again while a conversation goes on: one banner, the waits grow, and in the end all
// of it stands there once.
func TestX14Flapping(t *testing.T) {
	doyasa.Long(t)
	const rounds = 12
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	l := newLine(t, s.Addr)
	tb := openAt(t, browser, l.addr, "/", `window.waits = []; {
		const later = window.setTimeout;
		window.setTimeout = (action, wait, ...rest) => {
			if (action.name === 'dial') waits.push(wait);
			return later(action, Math.min(wait, 100), ...rest); // whoever flaps so fast need not be waited for
		};
	}`)
	var want []string
	for n := range rounds {
		own, other := fmt.Sprint("こちら ", n), fmt.Sprint("あちら ", n)
		tb.say(own)
		tb.wait(`!one('` + waiting + `')`)
		l.drop()
		post(t, s, "doyasa", "外", other)
		tb.waitText(other)
		want = append(want, own, other)
	}
	tb.waitLive()
	tb.wantTexts("after all", want...)
	if lines := get[int](tb, `all('#status, [role="log"] .note').length`); lines != 1 {
		t.Errorf("%d lines tell of the connection, want one", lines)
	}
	tb.wait(`one('` + status + `').textContent === ''`)
	waits := get[[]float64](tb, `waits`)
	if len(waits) < rounds || slices.Max(waits[rounds/2:]) < 500 || slices.Max(waits) > 30_000 {
		t.Errorf("waited %v ms before it called again: no growing back-off", waits)
	}
}

// TestX14WrongVersion opens the page in front of a server of another version, which takes the subprotocol and then says what nobody
// knows: the page tells, and does not call again by itself.
func TestX14WrongVersion(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var calls atomic.Int32
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr}))
	mux.HandleFunc("/websocket", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"doyasa.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		calls.Add(1)
		c.Write(r.Context(), websocket.MessageText, []byte(`{"type":"welcome","version":2}`))
		c.Read(r.Context())
	})
	other := httptest.NewServer(mux)
	t.Cleanup(other.Close)
	tb := newTab(t, browser, nil, countTimers)
	tb.visit(other.URL + "/")
	tb.wait(`one('` + status + `').textContent === 'サーバーのバージョンが合いません。ページを読み込み直してください。'`)
	if planned := get[[]float64](tb, longTimers); len(planned) > 0 || calls.Load() != 1 {
		t.Errorf("%d calls, and timers for %v ms; want one and none", calls.Load(), planned)
	}
	tb.click(`#statusNow`)
	tb.waitUntil("a second call", func() bool { return calls.Load() == 2 })
}
