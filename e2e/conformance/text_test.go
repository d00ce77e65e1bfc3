package conformance_test

import (
	"fmt"
	"testing"

	"github.com/doyasa/doyasa/e2e/wire"
)

// wellFormed is the table of well-formed byte sequences (RFC 3629 section 4): of each row the range of each byte.
var wellFormed = [][][2]byte{
	{{0x00, 0x7F}},
	{{0xC2, 0xDF}, {0x80, 0xBF}},
	{{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
	{{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
	{{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}},
}

// corner is the sequence of a row with the lower or the upper end of each range, by the bits of which.
func corner(row [][2]byte, which int) string {
	b := make([]byte, len(row))
	for i, r := range row {
		b[i] = r[which>>i&1]
	}
	return string(b)
}

// valid are the corners of the table, and texts that have made trouble for others.
func valid() (texts []string) {
	for _, row := range wellFormed {
		for which := range 1 << len(row) {
			texts = append(texts, corner(row, which))
		}
	}
	return append(texts, "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "どやさ", "\u0000", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "👩‍👩‍👧‍👦")
}

// An impossible text is one whose byte at fatal, and none before it, shows that it is not UTF-8.
type impossible struct {
	text  string
	fatal int
}

// invalid are all sequences that leave the table by one byte at one place.
func invalid() (texts []impossible) {
	seen := map[string]bool{}
	for _, row := range wellFormed {
		for at := 1; at < len(row); at++ {
			for _, b := range []byte{row[at][0] - 1, row[at][1] + 1, 0x00, 0x7F, 0xC2, 0xFF} {
				if text := corner(row, 0)[:at] + string([]byte{b}); !seen[text] {
					seen[text] = true
					texts = append(texts, impossible{text, at})
				}
			}
		}
	}
	for _, b := range []byte{0x80, 0xBF, 0xC0, 0xC1, 0xF5, 0xF7, 0xF8, 0xFC, 0xFE, 0xFF} {
		texts = append(texts, impossible{string([]byte{b}), 0})
	}
	return texts
}

// TestText is section 6.
func TestText(t *testing.T) {
	var sessions []session
	for i, s := range valid() {
		name := fmt.Sprintf("6 valid %d %x", i, s)
		around := "どや" + s + "さ"
		sessions = append(sessions,
			echoed(name, join(final(wire.Text, s), final(wire.Text, around)), text(s), text(around)),
			echoed(name+" in fragments of one byte", fragmented(wire.Text, around, 1), text(around)),
			echoed(name+" octet by octet", chopped(1, final(wire.Text, around)), text(around)))
		// Cut off within a character, which only the end of the message shows.
		for cut := 1; cut < len(s) && i < 200; cut++ {
			if s[0] < 0x80 || len([]rune(s)) > 1 {
				break
			}
			sessions = append(sessions,
				session{fmt.Sprintf("%s cut off after %d", name, cut), join(final(wire.Text, "ど"+s[:cut])), nil, 1007},
				session{fmt.Sprintf("%s cut off after %d, empty last fragment", name, cut), join(frame(wire.Text, s[:cut]), final(wire.Continuation, "")), nil, 1007})
		}
	}
	for i, bad := range invalid() {
		name := fmt.Sprintf("6 invalid %d %x", i, bad.text)
		around := "どや" + bad.text + "さ"
		sessions = append(sessions,
			session{name, join(final(wire.Text, "before"), final(wire.Text, around), final(wire.Ping, "after")), []wire.Frame{text("before")}, 1007},
			session{name + " in fragments of one byte", fragmented(wire.Text, around, 1), nil, 1007},
			session{name + " octet by octet", chopped(1, final(wire.Text, around)), nil, 1007})
		// Fail fast: the rest is never sent. In a whole fragment, and within a frame.
		until := around[:len("どや")+bad.fatal+1]
		begun := final(wire.Text, until+"and ten more")
		begun = begun[:len(begun)-len("and ten more")]
		sessions = append(sessions,
			session{name + " at the end of a fragment", join(frame(wire.Text, until)), nil, 1007},
			session{name + " within a frame", join(begun), nil, 1007},
			session{name + " within a frame, octet by octet", chopped(1, begun), nil, 1007},
			session{name + " in a later fragment", join(frame(wire.Text, until[:1]), final(wire.Ping, "p"), frame(wire.Continuation, until[1:])), []wire.Frame{pong("p")}, 1007},
			session{name + " as binary", join(final(wire.Binary, around)), []wire.Frame{binary(around)}, 0})
	}
	runEach(t, sessions)
}
