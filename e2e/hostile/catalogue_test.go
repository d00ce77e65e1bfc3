// Package hostile_test runs the catalogue of hostile inputs against the real program over real sockets: one long-lived server and
// twenty bystanders for all of it, who must not notice anything, and counters that must be back where they were after each row. A row
// has the id of the catalogue. What can be said in bytes is in wsproto/testdata, for others to run as well; the rest is code here.
//
// CI runs short forms with short timers; DOYASA_SOAK=1 the sizes and the timers of the catalogue.
package hostile_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

var soak = os.Getenv("DOYASA_SOAK") != ""

// size is a number of the catalogue in the soak, and a smaller one otherwise.
func size(full, short int) int {
	if soak {
		return full
	}
	return short
}

// A row is a line of the catalogue.
type row struct {
	id    string
	input string
	run   func(t *testing.T, s *stand) // besides the vectors of its id, or nil
	note  string                       // what of the row does not fit this design, and why
}

// A table is the result of every row.
type table struct{ lines []string }

func (t *table) add(r row, cases int, result string, v verdict) {
	note := ""
	if r.note != "" {
		note = "  (" + r.note + ")"
	}
	t.lines = append(t.lines, fmt.Sprintf("%-5s %-5s %4d %7.2fs %7.1fms  %s%s", r.id, result, cases, v.took.Seconds(),
		float64(v.p99)/float64(time.Millisecond), r.input, note))
}

func (t *table) print(title string) {
	text := fmt.Sprintf("%s\nrow   result cases   took  others' p99  input\n%s\n", title, strings.Join(t.lines, "\n"))
	fmt.Print(text)
	// go test says nothing of a package that passes, so the Makefile prints the file.
	if file, err := os.OpenFile("table.txt", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err == nil {
		fmt.Fprintln(file, text)
		file.Close()
	}
}

// TestCatalogue runs every row.
func TestCatalogue(t *testing.T) {
	os.Remove("table.txt")
	doyasa.EachSockets(t, func(t *testing.T, start doyasa.Starter) {
		s := newStand(t, start)
		defer func() { s.table.print("The catalogue of hostile inputs, " + t.Name()) }()
		vectors := readVectors(t)
		rows := slices.Concat(httpRows, frameRows, applicationRows, configRows)
		checkWhole(t, rows, vectors)
		rows = append(rows, beyondRows...)
		for _, r := range rows {
			cases, mine := 0, vectors[r.id]
			run := func(t *testing.T) {
				for _, v := range mine {
					t.Run(v.name, func(t *testing.T) { v.play(t, s) })
				}
				if r.run != nil {
					r.run(t, s)
				}
			}
			cases = len(mine)
			if r.run != nil {
				cases++
			}
			if cases == 0 {
				s.table.add(r, 0, "-", verdict{})
				continue
			}
			var v verdict
			result := "ok"
			if !t.Run(r.id, func(t *testing.T) { v = s.watch(t, run) }) {
				result = "FAIL"
			} else if v.took == 0 { // -run has left it out
				continue
			}
			s.table.add(r, cases, result, v)
		}
		s.table.lines = append(s.table.lines,
			"D1    see F2: RSV1 without compression is refused; D2 to D8 need compression, which does not exist yet",
			"X     in e2e/browser, by the names of its tests")
	})
}

// newStand starts a server, with flags besides those of the timers, and lets the bystanders in.
func newStand(t *testing.T, start doyasa.Starter, flags ...string) *stand {
	if runtime.GOOS != "linux" {
		doyasa.Skip(t, "another process's descriptors are counted in /proc")
	}
	s := &stand{start: start, timers: timers{handshake: 2 * time.Second, ping: 4 * time.Second, pong: 3 * time.Second, slow: 3 * time.Second, perSecond: 100, burst: 20}}
	if soak {
		s.timers = timers{handshake: 5 * time.Second, ping: 25 * time.Second, pong: 8 * time.Second, slow: 5 * time.Second, perSecond: 10, burst: 20}
	}
	s.server = start(t, append(flags, s.timers.flags()...)...)
	s.crowd = newCrowd(t, s.server.Addr, 50)
	s.before = s.settled(t)
	return s
}

// checkWhole: the rows are those of the catalogue, each once, each with something to run or a word on why not; and every vector
// belongs to one.
func checkWhole(t *testing.T, rows []row, vectors map[string][]playable) {
	t.Helper()
	missing := map[string]bool{"H20b": true}
	for letter, last := range map[string]int{"H": 38, "F": 45, "M": 25, "C": 18} {
		for n := range last {
			missing[fmt.Sprint(letter, n+1)] = true
		}
	}
	for _, r := range rows {
		if !missing[r.id] {
			t.Errorf("row %s is there twice, or none of the catalogue's", r.id)
		}
		delete(missing, r.id)
		if r.run == nil && len(vectors[r.id]) == 0 && r.note == "" {
			t.Errorf("row %s has nothing to run and does not say why", r.id)
		}
	}
	for id := range missing {
		t.Errorf("row %s of the catalogue is missing", id)
	}
	for id := range vectors {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.id == id }) {
			t.Errorf("the vectors of %q belong to no row", id)
		}
	}
}
