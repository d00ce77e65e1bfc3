package browser_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// shot is what the tab shows now.
func (tb *tab) shot() image.Image {
	tb.t.Helper()
	b, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		tb.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		tb.t.Fatal(err)
	}
	return picture
}

// TestNeighboursUnmoved looks at the rows above and below a strange text: not a pixel of them is other than beside a plain one.
func TestNeighboursUnmoved(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t)
	tb := newTab(t, browser, nil)
	neighbours := func(room, between, style string) []image.Image {
		for _, text := range []string{"上の隣 above (1)", between, "下の隣 below (2)"} {
			post(tb.t, s, room, "A", text)
		}
		tb.load(s, "/r/"+room)
		tb.waitText("下の隣 below (2)")
		get[any](tb, fmt.Sprintf(`all('%s')[1].style.cssText = %s`, texts, quote(style)))
		// The time of day is no part of this, nor whether a new minute has begun, only the place where it stands.
		boxes := get[[][]float64](tb, `all('`+rowsHere+`').map((row) => {
			row.querySelector('time').style.cssText = 'background: red; color: transparent';
			const { left, top, right, bottom } = row.getBoundingClientRect();
			return [left, top, right, bottom];
		})`)
		if len(boxes) != 3 {
			t.Fatalf("%d rows, want 3", len(boxes))
		}
		whole := tb.shot().(interface {
			SubImage(image.Rectangle) image.Image
		})
		part := func(box []float64) image.Image {
			return whole.SubImage(image.Rect(int(box[0]), int(box[1])+1, int(box[2]), int(box[3])-1))
		}
		return []image.Image{part(boxes[0]), part(boxes[2])}
	}
	plain := neighbours("plain", "x", "")
	for i, c := range []struct{ name, text, style string }{
		{"X8 zalgo", "z" + strings.Repeat("\u0300\u0316\u0336", 170), ""},
		// Not every font piles marks up; shadows of letters reach beyond their line with each.
		{"X8 zalgo of any font", "zalgo", "text-shadow: 0 -40px, 0 -20px, 0 20px, 0 40px"},
		{"X7 override", "\u202e\u2067\u2066 left open", ""},
		{"X8 high letters", "ᾫ꧅﷽𒐫ཧྐྵྐྵྐྵ⃝⃠", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb.t = t
			for k, picture := range neighbours(fmt.Sprint("strange", i), c.text, c.style) {
				if n := different(picture, plain[k]); n > 0 {
					t.Errorf("%d pixels of the row %s are different", n, []string{"above", "below"}[k])
				}
			}
		})
	}
	tb.t = t
	if n := different(plain[0], plain[1]); n == 0 {
		t.Error("the two rows are told to look alike: nothing was compared")
	}
}

// different counts the pixels in which two pictures differ; all, if they are not of one size.
func different(a, b image.Image) (n int) {
	at, bt := a.Bounds(), b.Bounds()
	if at.Size() != bt.Size() {
		return at.Dx() * at.Dy()
	}
	for y := range at.Dy() {
		for x := range at.Dx() {
			r1, g1, b1, _ := a.At(at.Min.X+x, at.Min.Y+y).RGBA()
			r2, g2, b2, _ := b.At(bt.Min.X+x, bt.Min.Y+y).RGBA()
			if r1 != r2 || g1 != g2 || b1 != b2 {
				n++
			}
		}
	}
	return n
}
