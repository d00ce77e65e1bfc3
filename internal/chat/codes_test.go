package chat

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/wsproto"
)

// section returns the part of docs/protocol.md under a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	document, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/protocol.md has no %q", heading)
	}
	if end := regexp.MustCompile(`(?m)^##+ `).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return rest
}

// places tells where a code may appear, as docs/protocol.md writes it.
func (c *Code) places() string {
	var places []string
	if c.Frame {
		places = append(places, "`error`")
	}
	for _, code := range c.Close {
		places = append(places, fmt.Sprint("Close ", int(code)))
	}
	for _, status := range c.Status {
		places = append(places, fmt.Sprint("HTTP ", status))
	}
	return strings.Join(places, ", ")
}

// docs/protocol.md shows the table of codes, all of it and in the same order.
func TestCodesAreDocumented(t *testing.T) {
	var want, got []string
	for _, c := range Codes {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", c.Name, c.places(), c.Text))
	}
	for line := range strings.Lines(section(t, "### Codes")) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table of docs/protocol.md under Codes is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The table of close codes has each code as the reason of the Close frames that it may stand in, and of no
// others.
func TestCloseReasonsAreDocumented(t *testing.T) {
	type pair struct {
		code wsproto.CloseCode
		name string
	}
	var want, got []pair
	for _, c := range Codes {
		for _, code := range c.Close {
			want = append(want, pair{code, c.Name})
		}
	}
	named := regexp.MustCompile("`(\\w+)`")
	for line := range strings.Lines(section(t, "### Close codes")) {
		columns := strings.Split(line, "|")
		if len(columns) < 4 {
			continue
		}
		for _, number := range regexp.MustCompile(`\d+`).FindAllString(columns[1], -1) {
			var code wsproto.CloseCode
			fmt.Sscan(number, &code)
			for _, m := range named.FindAllStringSubmatch(columns[2], -1) {
				got = append(got, pair{code, m[1]})
			}
		}
	}
	for _, p := range want {
		if !slices.Contains(got, p) {
			t.Errorf("the row of %d lacks %s", p.code, p.name)
		}
	}
	for _, p := range got {
		if !slices.Contains(want, p) {
			t.Errorf("the row of %d has %s, which is not sent with it", p.code, p.name)
		}
	}
}

// Each code has a name of its own, a text, and a place.
func TestCodes(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Codes {
		if seen[c.Name] || c.Text == "" || c.places() == "" || !regexp.MustCompile(`^[a-z_]+$`).MatchString(c.Name) {
			t.Errorf("%+v: want a name of its own, a text and a place", *c)
		}
		seen[c.Name] = true
	}
}
