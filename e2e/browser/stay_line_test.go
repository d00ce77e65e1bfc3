package browser_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// A line stands between tabs and a server and can be cut as a network is: what one says is lost on the way, and neither is told. A
// connection that was up during a cut stays silent for good, as one whose path has changed does.
type line struct {
	addr   string // where the tabs connect to
	target string

	mu    sync.Mutex
	up    bool           // guarded by mu: nothing reaches the server
	down  bool           // guarded by mu: nothing reaches the tabs
	wires map[*wire]bool // guarded by mu: those that are not over
}

// A wire is one connection through a line.
type wire struct {
	tab, server net.Conn // server is nil if the line was cut when the tab called
	up, down    bool     // guarded by the line's mu: cut for good
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: listener.Addr().String(), target: target, wires: map[*wire]bool{}}
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			busy.Go(func() { l.carry(&wire{tab: c}) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.drop()
		busy.Wait()
	})
	return l
}

// carry carries bytes between a tab and the server until one of them closes and the other may know it.
func (l *line) carry(w *wire) {
	l.mu.Lock()
	l.wires[w] = true
	lost := l.up || l.down // no handshake without both directions
	w.up, w.down = lost, lost
	l.mu.Unlock()
	if !lost {
		server, err := net.Dial("tcp", l.target)
		if err != nil {
			l.end(w)
			return
		}
		l.mu.Lock()
		w.server = server
		l.mu.Unlock()
		var back sync.WaitGroup
		back.Go(func() { l.pass(w, server, w.tab, &w.down) })
		defer back.Wait()
	}
	l.pass(w, w.tab, w.server, &w.up)
}

// pass carries one direction. Bytes and the end itself are lost while it is cut.
func (l *line) pass(w *wire, from io.Reader, to io.Writer, cut *bool) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		lost := *cut
		l.mu.Unlock()
		switch {
		case err != nil && lost:
			return // the other side is left waiting
		case err != nil:
			l.end(w)
			return
		case !lost:
			to.Write(b[:n]) // if it fails, its own direction notices
		}
	}
}

// end closes both ends of a wire.
func (l *line) end(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.wires, w)
	w.tab.Close()
	if w.server != nil {
		w.server.Close()
	}
}

// drop ends every wire, as a router does that starts anew.
func (l *line) drop() {
	l.mu.Lock()
	var all []*wire
	for w := range l.wires {
		all = append(all, w)
	}
	l.mu.Unlock()
	for _, w := range all {
		l.end(w)
	}
}

// cut cuts directions for all wires, and for those that tabs will ask for, until heal, which serves new ones only.
func (l *line) cut(up, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.down = up, down
	for w := range l.wires {
		w.up, w.down = w.up || up, w.down || down
	}
}

func (l *line) heal() { l.cut(false, false) }

// cutFor cuts both directions for a time and closes the channel when that is over.
func (l *line) cutFor(d time.Duration) <-chan struct{} {
	healed := make(chan struct{})
	l.cut(true, true)
	time.AfterFunc(d, func() {
		l.heal()
		close(healed)
	})
	return healed
}

// openAt is open at an address that need not be the server's own.
func openAt(t *testing.T, browser context.Context, addr, path string, scripts ...string) *tab {
	t.Helper()
	tb := newTab(t, browser, nil, scripts...)
	tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	tb.do(chromedp.Navigate("http://" + addr + path))
	tb.waitLive()
	return tb
}

// recordPeople notes every count of people that the page has shown.
const recordPeople = `window.counts = new Set(); addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
	const shown = document.querySelector('#people').textContent;
	if (shown) counts.add(shown);
}).observe(document.querySelector('#people'), { childList: true, characterData: true, subtree: true }));`

// wantTexts fails the test unless the tab shows these texts, each once and in this order.
func (tb *tab) wantTexts(when string, want ...string) {
	tb.t.Helper()
	got := tb.texts()
	if len(got) != len(want) {
		tb.t.Errorf("%s: shows %q, want %q", when, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			tb.t.Errorf("%s: shows %q, want %q", when, got, want)
			return
		}
	}
}

// TestCut cuts the network for 40 seconds: the tab hears nothing and neither does the server, which gives up; nobody tells the tab. One
// tab speaks meanwhile and so finds out early; one only listens, and has nothing but its watchdog.
func TestCut(t *testing.T) {
	doyasa.Long(t)
	t.Parallel() // with the other, at the end: most of it is waiting
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	l := newLine(t, s.Addr)
	speaker := openAt(t, browser, l.addr, "/")
	listener := openAt(t, browser, l.addr, "/")
	bystander := open(t, browser, s, "/", recordPeople)
	all := []*tab{speaker, listener, bystander}
	for _, tb := range all {
		tb.wait(`one('#people').textContent === '3人'`)
	}
	get[any](bystander, `counts.clear()`)
	speaker.say("切れる前")
	for _, tb := range all {
		tb.waitText("切れる前")
	}

	healed := l.cutFor(40 * time.Second)
	speaker.say("トンネルの中から")
	speaker.wait(`one('` + waiting + `')`)
	for _, text := range []string{"一", "二", "三"} {
		post(t, s, "doyasa", "外", text)
		bystander.waitText(text)
	}
	speaker.waitOffline()
	speaker.wait(`one('` + status + `').textContent !== ''`)
	for _, tb := range all[:2] {
		tb.wantTexts("during the cut", "切れる前")
	}
	<-healed
	want := []string{"切れる前", "一", "二", "三", "トンネルの中から"}
	for _, tb := range all {
		tb.waitText("トンネルの中から")
		tb.waitLive()
		tb.waitSaid()
		tb.wait(`one('` + status + `').textContent === ''`)
		tb.wantTexts("after the cut", want...)
	}
	// They were away for less than half a minute as the server sees it: nobody has left.
	if counts := get[[]string](bystander, `[...counts].filter((n) => n !== '3人')`); len(counts) > 0 {
		t.Errorf("the number of people became %q", counts)
	}
	if said := bystander.messages(); said[0].From.ID != said[len(said)-1].From.ID {
		t.Errorf("the way back made another person of the speaker: %+v and %+v", said[0].From, said[len(said)-1].From)
	}
}

// TestCutOneWay loses one direction only: the server, which hears nothing, ends the connection, and the tab is back without a hole.
func TestCutOneWay(t *testing.T) {
	doyasa.Long(t)
	t.Parallel() // with the other, at the end: most of it is waiting
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-ping-interval", "5s", "--limits-pong-timeout", "4s")
	for _, c := range []struct {
		name, room string
		up, down   bool
	}{
		{"what the tab says is lost", "up", true, false},
		{"what the server says is lost", "down", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLine(t, s.Addr)
			tb := openAt(t, browser, l.addr, "/r/"+c.room)
			tb.say("前")
			tb.waitText("前")
			tb.waitSaid()
			l.cut(c.up, c.down)
			tb.say("失われたことば")
			tb.waitOffline()
			l.heal()
			tb.waitText("失われたことば")
			tb.waitSaid()
			tb.waitLive()
			tb.wantTexts("after the cut", "前", "失われたことば")
		})
	}
}

// waitReceived waits until the tab has received a frame like that, whether it draws or not.
func (tb *tab) waitReceived(like func(frame) bool) {
	tb.t.Helper()
	tb.waitUntil("a frame", func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		return slices.ContainsFunc(tb.received, like)
	})
}

// waitUntil waits for what happens outside of the page.
func (tb *tab) waitUntil(what string, happened func() bool) {
	tb.t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-again.C {
		if happened() {
			return
		}
	}
	tb.t.Fatalf("waited %v in vain for %s", patience, what)
}

// waitHistory waits until a text is the newest that the server keeps.
func waitHistory(t *testing.T, s *doyasa.Server, text string) {
	t.Helper()
	(&tab{t: t}).waitUntil(text, func() bool {
		kept := history(t, s, "doyasa")
		return len(kept) > 0 && kept[len(kept)-1].Text == text
	})
}

// TestOffline has the browser itself say that there is no network, and then that there is: the page says so and asks at once.
func TestOffline(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	l := newLine(t, s.Addr)
	tb := openAt(t, browser, l.addr, "/")
	bystander := open(t, browser, s, "/")
	offline := func(off bool) {
		tb.do(call(network.OverrideNetworkState, network.OverrideNetworkStateParams{
			Offline: off, DownloadThroughput: -1, UploadThroughput: -1,
		}))
	}
	l.cut(true, true)
	offline(true)
	tb.waitOffline()
	tb.wait(`one('` + status + `').textContent === 'オフラインです。'`)
	tb.say("圏外から")
	for range 3 {
		tb.click(seal)
	}
	tb.wait(`one('` + seal + `').innerText.includes('+4') && one('` + waiting + ` .queued')`)
	l.heal()
	offline(false)
	tb.waitLive()
	tb.waitSaid()
	for _, tb := range []*tab{tb, bystander} {
		tb.waitText("圏外から")
		tb.waitShouts(3)
		tb.wantTexts("back in the network", "圏外から", "どやさ×3")
	}
}
