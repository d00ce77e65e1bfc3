package browser_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestArticle serves a page made like that of the article where all this began: its address is written into it, and its script and
// its handler stand in the page. The browser, not the page, is told that localhost:3000 is elsewhere today, so that nobody needs the
// port.
func TestArticle(t *testing.T) {
	folder, err := filepath.Abs("testdata/article")
	if err != nil {
		t.Fatal(err)
	}
	s := doyasa.Start(t, "--static-dir", folder)
	browser := newChromium(t, s.Addr)
	var tabs []*tab
	expect := func(counts ...int) {
		t.Helper()
		for i, want := range counts {
			tabs[i].wait(fmt.Sprintf(`all('#received li').length === %d`, want))
			if got := get[[]string](tabs[i], `all('#received li').map((li) => li.textContent)`); len(got) != want || got[want-1] != "どやさ" {
				t.Errorf("tab %d has received %q, want どやさ %d times", i, got, want)
			}
		}
	}
	for n := range 4 {
		tb := newTab(t, browser, nil)
		tabs = append(tabs, tb)
		tb.do(chromedp.Navigate("http://localhost:3000/"))
		tb.waitPrinted("upgraded!!")
		tb.waitPrinted("どやさ")
		counts := []int{}
		for older := range n + 1 {
			counts = append(counts, n+1-older) // one of its own, and one of each that came later
		}
		expect(counts...)
	}
	tabs[2].click("button")
	tabs[0].click("button")
	expect(6, 5, 4, 3)

	// The raw form shows nothing but what people say, also of members of the other form.
	post(t, s, "doyasa", "curl", "どやさ")
	expect(7, 6, 5, 4)
}
