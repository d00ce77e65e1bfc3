package browser_test

import (
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"maps"
	"os"
	"slices"
	"testing"
)

// sideBySide puts two pictures beside each other on a desk.
func sideBySide(left, right image.Image) image.Image {
	const gap = 12
	size := left.Bounds().Size()
	both := image.NewRGBA(image.Rect(0, 0, 2*size.X+3*gap, size.Y+2*gap))
	draw.Draw(both, both.Bounds(), image.NewUniform(color.RGBA{0xcf, 0xc7, 0xb8, 0xff}), image.Point{}, draw.Src)
	for i, picture := range []image.Image{left, right} {
		at := image.Pt(gap+i*(size.X+gap), gap)
		draw.Draw(both, image.Rectangle{at, at.Add(size)}, picture, picture.Bounds().Min, draw.Src)
	}
	return both
}

// fewColours is the picture in at most 256 of its colours: the most frequent ones that can be told apart.
func fewColours(picture image.Image) image.Image {
	bounds := picture.Bounds()
	count := map[color.RGBA]int{}
	each := func(visit func(x, y int, c color.RGBA)) {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				visit(x, y, color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA))
			}
		}
	}
	each(func(_, _ int, c color.RGBA) { count[c]++ })
	var palette color.Palette
	taken := map[[3]uint8]bool{}
	for _, c := range slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] }) {
		step := [3]uint8{c.R >> 3, c.G >> 3, c.B >> 3}
		if !taken[step] && len(palette) < 256 {
			taken[step] = true
			palette = append(palette, c)
		}
	}
	few := image.NewPaletted(bounds, palette)
	nearest := map[color.RGBA]uint8{}
	for c := range count {
		nearest[c] = uint8(palette.Index(c))
	}
	each(func(x, y int, c color.RGBA) { few.SetColorIndex(x, y, nearest[c]) })
	return few
}

// A film is pictures of one size, one after the other.
type film struct {
	frames []image.Image
	delays []int // hundredths of a second
}

func (f *film) add(delay int, picture image.Image) {
	f.frames, f.delays = append(f.frames, picture), append(f.delays, delay)
}

// save writes a GIF that repeats for ever. Each frame holds what differs from the one before it.
func (f *film) save(t *testing.T, path string) {
	t.Helper()
	bounds := f.frames[0].Bounds()
	strip := image.NewRGBA(image.Rect(0, 0, bounds.Dx(), bounds.Dy()*len(f.frames)))
	for i, frame := range f.frames {
		draw.Draw(strip, bounds.Add(image.Pt(0, i*bounds.Dy())), frame, bounds.Min, draw.Src)
	}
	whole := fewColours(strip).(*image.Paletted) // one palette for all
	palette := whole.Palette[:min(len(whole.Palette), 255)]
	clear := uint8(len(palette))
	palette = append(slices.Clip(palette), color.RGBA{})
	out := gif.GIF{Config: image.Config{ColorModel: palette, Width: bounds.Dx(), Height: bounds.Dy()}}
	for i, delay := range f.delays {
		frame := image.NewPaletted(bounds, palette)
		for y := range bounds.Dy() {
			for x := range bounds.Dx() {
				now := min(whole.ColorIndexAt(x, i*bounds.Dy()+y), clear-1)
				if i > 0 && now == min(whole.ColorIndexAt(x, (i-1)*bounds.Dy()+y), clear-1) {
					now = clear
				}
				frame.SetColorIndex(x, y, now)
			}
		}
		out.Image, out.Delay = append(out.Image, frame), append(out.Delay, delay)
		out.Disposal = append(out.Disposal, gif.DisposalNone)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gif.EncodeAll(file, &out); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 400_000 {
		t.Errorf("%s: %v, %d bytes; want at most 400,000", path, err, info.Size())
	}
}
