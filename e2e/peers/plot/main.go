// Command plot draws the results of compare. It makes one SVG of latency against rate and one of cost against room size, and
// prints the table of docs/performance.md.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// results has the fields of compare's result file that are used here.
type results struct {
	Scenarios map[string]struct {
		Title  string `json:"title"`
		Points []struct {
			What   string  `json:"what"`
			Median float64 `json:"median"`
			Bound  float64 `json:"bound"`
			AtMin  bool    `json:"at_least"`
			Held   bool    `json:"held"`
		} `json:"points"`
		Medians map[string]figures `json:"medians"`
	} `json:"scenarios"`
}

type figures struct {
	CPUPerDelivery  float64 `json:"cpu_per_delivery_us"`
	CPUPerHandshake float64 `json:"cpu_per_handshake_us"`
	PerSecond       float64 `json:"deliveries_per_s"`
	PerConnection   float64 `json:"rss_per_connection"`
	LastReceiver    float64 `json:"last_receiver_p50_us"`
}

func main() {
	in := flag.String("in", "../../docs/performance.json", "what compare has written")
	dir := flag.String("dir", "../../docs/images", "where the drawings go")
	flag.Parse()
	b, err := os.ReadFile(*in)
	if err != nil {
		log.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(b, &r); err != nil {
		log.Fatal(err)
	}
	for _, d := range []drawing{
		{
			scenario: "rates", file: "latency.svg", title: "64 bytes to 1,000 clients on one core", x: "messages a second", y: "median to the last receiver, ms",
			value: func(f figures) float64 { return f.LastReceiver / 1e3 },
		},
		{
			scenario: "sizes", file: "cost.svg", title: "50,000 deliveries a second of 64 bytes on one core", x: "members of the room", y: "CPU per delivery, µs",
			value: func(f figures) float64 { return f.CPUPerDelivery }, linear: true,
		},
	} {
		if err := d.draw(r.Scenarios[d.scenario].Medians, filepath.Join(*dir, d.file)); err != nil {
			log.Fatalf("%s: %v", d.scenario, err)
		}
	}
	r.points()
	fmt.Println()
	r.everybody()
}

// A drawing has one line for each server.
type drawing struct {
	scenario, file, title, x, y string
	value                       func(figures) float64
	linear                      bool // the vertical axis is linear instead of logarithmic
}

// looks has the servers in the order of the legend. The most important ones have thick lines.
var looks = []struct {
	label string
	color color.RGBA
	thick bool
}{
	{"doyasa", color.RGBA{0xC6, 0x28, 0x28, 0xFF}, true},
	{"limit", color.RGBA{0x11, 0x11, 0x11, 0xFF}, true},
	{"limit-batch", color.RGBA{0x77, 0x77, 0x77, 0xFF}, true},
	{"gobwas-epoll", color.RGBA{0x00, 0x79, 0x6B, 0xFF}, false},
	{"gws", color.RGBA{0x15, 0x65, 0xC0, 0xFF}, false},
	{"gobwas", color.RGBA{0x7C, 0xB3, 0x42, 0xFF}, false},
	{"gorilla", color.RGBA{0xEF, 0x6C, 0x00, 0xFF}, false},
	{"coder", color.RGBA{0x6A, 0x1B, 0x9A, 0xFF}, false},
}

func (d *drawing) draw(medians map[string]figures, path string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = d.title, d.x, d.y
	p.BackgroundColor = color.White // white even on a dark page
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks{}
	if !d.linear {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ticks{}
	} else {
		p.Y.Min = 0
	}
	p.Add(plotter.NewGrid())
	for n, look := range looks {
		var points plotter.XYs
		for label, f := range medians {
			name, x, _ := strings.Cut(label, "@")
			if at, err := strconv.ParseFloat(x, 64); name == look.label && err == nil && d.value(f) > 0 {
				points = append(points, plotter.XY{X: at, Y: d.value(f)})
			}
		}
		if len(points) == 0 {
			return fmt.Errorf("nothing was measured of %s", look.label)
		}
		slices.SortFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color = look.color, look.color
		line.Width = vg.Points(1)
		dots.Radius = vg.Points(2)
		dots.Shape = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{}}[n%4]
		if look.thick {
			line.Width = vg.Points(2)
		}
		p.Add(line, dots)
		p.Legend.Add(look.label, line, dots)
	}
	p.X.Max *= 1.1 // space for the last number
	return p.Save(17*vg.Centimeter, 11*vg.Centimeter, path)
}

// ticks are 1, 2 and 5 times a power of ten, with their numbers.
type ticks struct{}

func (ticks) Ticks(least, most float64) (t []plot.Tick) {
	for decade := 1e-3; decade <= most; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := m * decade; v >= least && v <= most {
				t = append(t, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
			}
		}
	}
	return t
}
