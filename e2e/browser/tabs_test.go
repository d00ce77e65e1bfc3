package browser_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestTwoTabs presses the seal once in one of two tabs of one window, where only the front one is visible, as with most people.
func TestTwoTabs(t *testing.T) {
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var tabs [2]*tab
	for i := range tabs {
		tabs[i] = newTab(t, browser, []chromedp.ContextOption{chromedp.WithNewWindow(false)})
		tabs[i].front()
		tabs[i].load(s, "/")
	}
	tabs[1].click(seal)
	for _, tb := range []*tab{tabs[1], tabs[0]} {
		tb.front()
		tb.waitShouts(1)
	}
	// What tab 0 says stands behind everything before it, so that a second どやさ could not be on its way any more.
	tabs[0].say("見えた?")
	for i, tb := range tabs {
		tb.front()
		tb.waitText("見えた?")
		if got, want := tb.texts(), []string{"どやさ", "見えた?"}; !slices.Equal(got, want) {
			t.Errorf("tab %d shows %q, want %q", i, got, want)
		}
		tb.waitShouts(1)
	}
	if said := tabs[1].said(); len(said) != 1 {
		t.Errorf("one press was sent as %+v", said)
	}
}

// front shows the tab in front of the others of its window.
func (tb *tab) front() {
	tb.t.Helper()
	tb.do(call(page.BringToFront, struct{}{}))
	tb.wait(`document.visibilityState === 'visible'`)
}

// TestFiveTabs presses and types in five tabs at once: every tab shows everything once, all in the same order.
func TestFiveTabs(t *testing.T) {
	const rounds = 4
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var tabs []*tab
	for range 5 {
		tabs = append(tabs, open(t, browser, s, "/"))
	}
	var busy sync.WaitGroup
	for i, tb := range tabs {
		busy.Go(func() {
			for n := range rounds {
				tb.click(seal)
				tb.click(seal)
				tb.say(fmt.Sprintf("タブ%d の %d", i, n))
			}
		})
	}
	busy.Wait()
	if t.Failed() {
		return
	}
	var want []string // every text, in any order
	for i := range tabs {
		for n := range rounds {
			want = append(want, fmt.Sprintf("タブ%d の %d", i, n))
		}
	}
	for i, tb := range tabs {
		tb.waitShouts(len(tabs) * 2 * rounds)
		tb.wait(fmt.Sprintf(`all('%s').length === %d`, texts, len(want)))
		tb.waitSaid()
		if got := tb.wordsOfTexts(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("tab %d shows the texts %q", i, got)
		}
		if got, first := tb.rows(), tabs[0].rows(); !slices.Equal(got, first) {
			t.Errorf("tab %d shows\n%v\nbut tab 0\n%v", i, got, first)
		}
		// The wire, beside what is shown: the same messages at the same places, each id once.
		got, first := tb.messages(), tabs[0].messages()
		if !slices.Equal(got, first) {
			t.Errorf("tab %d received\n%v\nbut tab 0\n%v", i, got, first)
		}
		if got := len(ids(got)); got != len(tb.messages()) {
			t.Errorf("tab %d received %d ids in %d messages", i, got, len(tb.messages()))
		}
		for k, m := range got[1:] {
			if m.Prev != got[k].Seq {
				t.Errorf("tab %d: behind seq %d came %+v", i, got[k].Seq, m)
			}
		}
	}
}

// wordsOfTexts are the rows that are no folded どやさ.
func (tb *tab) wordsOfTexts() []string {
	return get[[]string](tb, `all('`+texts+`').map((words) => words.textContent)`)
}

func ids(frames []frame) map[string]bool {
	seen := map[string]bool{}
	for _, f := range frames {
		seen[f.ID] = true
	}
	return seen
}

// TestCurl runs the line that people share, as it stands in the README but for the port.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		doyasa.Skip(t, "needs curl")
	}
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	var tabs []*tab
	for range 3 {
		tabs = append(tabs, open(t, browser, s, "/"))
	}
	address := s.Addr + "/api/rooms/doyasa/messages"
	out, err := exec.Command(curl, "--silent", "--show-error", "--fail", "-d", "どやさ", address).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "どやさ") {
		t.Fatalf("curl -d どやさ %s: %v\n%s", address, err, out)
	}
	for i, tb := range tabs {
		tb.waitShouts(1)
		if got, want := tb.texts(), []string{"どやさ"}; !slices.Equal(got, want) {
			t.Errorf("tab %d shows %q, want %q", i, got, want)
		}
	}
}
