package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/wire"
)

// TestClosing is section 7.
func TestClosing(t *testing.T) {
	big := strings.Repeat("BAsd7&jh23", 26214)
	longest := strings.Repeat("*", 123)
	sessions := []session{
		{"7 a message, then Close", join(final(wire.Text, "before"), closing(1000, "")), []wire.Frame{text("before")}, 1000},
		{"7 a message, then Close, octet by octet", chopped(1, final(wire.Text, "before"), closing(1000, "")), []wire.Frame{text("before")}, 1000},
		{"7 256 KiB, then Close and a ping", join(final(wire.Text, big), closing(1000, ""), final(wire.Ping, "")), []wire.Frame{text(big)}, 1000},
		{"7 two Close frames", join(closing(1000, ""), closing(1001, "")), nil, 1000},
		{"7 ping after Close", join(closing(1000, ""), final(wire.Ping, "?")), nil, 1000},
		{"7 text after Close", join(closing(1000, ""), final(wire.Text, "after")), nil, 1000},
		{"7 a violation after Close", join(closing(1000, ""), []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), nil, 1000},
		{"7 64 KiB after Close", join(closing(1000, ""), final(wire.Binary, big[:65536])), nil, 1000},
		{"7 64 KiB after a violation", join(final(3, ""), final(wire.Binary, big[:65536])), nil, 1002},
		{"7 Close inside a message", join(frame(wire.Text, "fragment1"), closing(1000, ""), final(wire.Continuation, "fragment2")), nil, 1000},
		{"7 pings, then Close", join(final(wire.Ping, "1"), final(wire.Ping, "2"), closing(1000, "")), []wire.Frame{pong("1"), pong("2")}, 1000},
		{"7 no code", join(closing(1005, "")), nil, 1005},
		{"7 one byte", join(final(wire.Close, "\x03")), nil, 1002},
		{"7 a code and a reason", join(closing(1000, "Hello World!")), nil, 1000},
		{"7 a reason of 123 bytes", join(closing(1000, longest)), nil, 1000},
		{"7 a reason of 123 bytes, octet by octet", chopped(1, closing(1000, longest)), nil, 1000},
		{"7 a reason of 124 bytes", join(closing(1000, longest+"*")), nil, 1002},
		{"7 a reason that is not UTF-8", join(closing(1000, "Hello-\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited")), nil, 1007},
		{"7 a reason that ends within a character", join(closing(1000, "\xe3\x81")), nil, 1007},
	}
	// Section 7.4: the codes that may be sent, and some of those that may not.
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		sessions = append(sessions, session{fmt.Sprintf("7 code %d", code), join(closing(code, "")), nil, code},
			session{fmt.Sprintf("7 code %d with a reason, after a message", code), join(final(wire.Text, "m"), closing(code, "どやさ")), []wire.Frame{text("m")}, code})
	}
	for _, code := range []int{0, 999, 1004, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		sessions = append(sessions, session{fmt.Sprintf("7 code %d", code), join(closing(code, "")), nil, 1002},
			session{fmt.Sprintf("7 code %d with a reason", code), join(closing(code, "reason")), nil, 1002})
	}
	sessions = append(sessions, session{"7 code 1005 sent", join(final(wire.Close, "\x03\xed")), nil, 1002})
	runEach(t, sessions)
}
