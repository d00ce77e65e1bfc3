package browser_test

import (
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// TestSlash opens rooms with a slash at the end of the address. It is the same room, and the page is whole: its style comes from the root.
func TestSlash(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	for _, c := range []struct{ room, slash, bare string }{
		{"tea", "/r/tea/?x=1#y", "/r/tea"},
		{"お茶", "/r/%E3%81%8A%E8%8C%B6/", "/r/お茶"},
	} {
		slash, bare := open(t, browser, s, c.slash), open(t, browser, s, c.bare)
		slash.wait(`one('` + heading + `').textContent === ` + quote(c.room))
		slash.wait(`location.href === ` + quote("http://"+s.Addr+c.slash))
		slash.wait(`[...document.styleSheets].length > 2 && [...document.styleSheets].every((sheet) => sheet.cssRules.length > 0)`)
		slash.click(seal)
		bare.waitShouts(1)
		bare.say("見えた")
		slash.waitText("見えた")
	}
}
