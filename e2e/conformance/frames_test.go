package conformance_test

import (
	"bytes"
	be "encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// TestFraming is section 1: every way of writing a length, whole and chopped.
func TestFraming(t *testing.T) {
	var sessions []session
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536} {
		for _, chop := range []int{0, 997, 1} {
			if chop == 1 && n > 1000 {
				continue
			}
			for opcode, payload := range map[byte][]byte{wire.Text: bytes.Repeat([]byte("*"), n), wire.Binary: bytes.Repeat([]byte{0xFE}, n)} {
				send := [][]byte{wire.Append(nil, wire.Fin|opcode, payload)}
				if chop > 0 {
					send = chopped(chop, send...)
				}
				sessions = append(sessions, echoed(fmt.Sprintf("1 opcode %d of %d bytes in writes of %d", opcode, n, chop), send,
					wire.Frame{First: wire.Fin | opcode, Payload: payload}))
			}
		}
	}
	// Section 5.2: the length in its shortest form and nothing else, and below 2^63. Section 5.1: masked.
	mask := []byte{1, 2, 3, 4}
	long := func(n uint64) []byte { return append(be.BigEndian.AppendUint64([]byte{0x82, 0xFF}, n), mask...) }
	for name, bad := range map[string][]byte{
		"125 bytes in the 16-bit form":      append([]byte{0x82, 0xFE, 0, 125}, mask...),
		"0 bytes in the 16-bit form":        append([]byte{0x81, 0xFE, 0, 0}, mask...),
		"65,535 bytes in the 64-bit form":   long(65535),
		"a length with the top bit set":     long(1<<63 | 1),
		"a length of all ones":              long(1<<64 - 1),
		"a frame that is not masked":        {0x81, 2, 'h', 'i'},
		"an empty frame that is not masked": {0x81, 0},
		"an HTTP request":                   []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		sessions = append(sessions, session{"1 " + name, join(final(wire.Text, "before"), bad), []wire.Frame{text("before")}, 1002})
	}
	for _, n := range []uint64{1 << 32, 1 << 40, 1<<63 - 1} {
		sessions = append(sessions, session{fmt.Sprintf("1 a length of %d", n), join(final(wire.Text, "before"), long(n)), []wire.Frame{text("before")}, 1009})
	}
	sessions = append(sessions, echoed("1 a masking key of zeros", [][]byte{{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}}, text("hi")))
	runEach(t, sessions)
}

// TestPings is section 2.
func TestPings(t *testing.T) {
	odd := "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
	longest := strings.Repeat("\xfe", 125)
	var ten [][]byte
	var tenPongs []wire.Frame
	for i := range 10 {
		ten, tenPongs = append(ten, final(wire.Ping, fmt.Sprint("payload-", i))), append(tenPongs, pong(fmt.Sprint("payload-", i)))
	}
	runEach(t, []session{
		echoed("2 no payload", join(final(wire.Ping, "")), pong("")),
		echoed("2 text payload", join(final(wire.Ping, "Hello, world!")), pong("Hello, world!")),
		echoed("2 payload that is no text", join(final(wire.Ping, odd)), pong(odd)),
		echoed("2 125 bytes", join(final(wire.Ping, longest)), pong(longest)),
		echoed("2 125 bytes octet by octet", chopped(1, final(wire.Ping, longest)), pong(longest)),
		echoed("2 ten at once", join(ten...), tenPongs...),
		echoed("2 ten octet by octet", chopped(1, ten...), tenPongs...),
		{"2 126 bytes", join(final(wire.Ping, longest+"\xfe")), nil, 1002},
		{"2 fragmented", join(frame(wire.Ping, "a")), nil, 1002},
		echoed("2 unsolicited pong", join(final(wire.Pong, ""), final(wire.Text, "still here")), text("still here")),
		echoed("2 unsolicited pong with payload", join(final(wire.Pong, "what?"), final(wire.Ping, "a")), pong("a")),
		echoed("2 unsolicited pongs and pings", join(final(wire.Pong, "a"), final(wire.Ping, "b"), final(wire.Pong, "b")), pong("b")),
		{"2 pong of 126 bytes", join(final(wire.Pong, longest+"\xfe")), nil, 1002},
		{"2 fragmented pong", join(frame(wire.Pong, "a")), nil, 1002},
	})
}

// TestReserved is sections 3 and 4: reserved bits and opcodes. What was said before is echoed first.
func TestReserved(t *testing.T) {
	var sessions []session
	add := func(name string, bad []byte) {
		good, echo := final(wire.Text, "before"), []wire.Frame{text("before")}
		sessions = append(sessions,
			session{name + " alone", join(bad), nil, 1002},
			session{name + " after a message", join(good, bad, final(wire.Ping, "after")), echo, 1002},
			session{name + " after a message in a write of its own", [][]byte{good, bad}, echo, 1002},
			session{name + " after a message, octet by octet", chopped(1, good, bad), echo, 1002})
	}
	for rsv := byte(wire.RSV3); rsv <= wire.RSV1|wire.RSV2|wire.RSV3; rsv += wire.RSV3 {
		for _, opcode := range []byte{wire.Text, wire.Binary, wire.Ping, wire.Close} {
			add(fmt.Sprintf("3 RSV %03b opcode %d", rsv>>4, opcode), frame(wire.Fin|rsv|opcode, "small"))
		}
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(fmt.Sprintf("4 opcode %d without payload", opcode), final(opcode, ""))
		add(fmt.Sprintf("4 opcode %d", opcode), final(opcode, "reserved"))
	}
	runEach(t, sessions)
}

// TestFragmentation is section 5.
func TestFragmentation(t *testing.T) {
	first, last := frame(wire.Text, "fragment1"), final(wire.Continuation, "fragment2")
	whole, ping := text("fragment1fragment2"), final(wire.Ping, "ping")
	var many, manyWithPings [][]byte
	var manyWant []wire.Frame
	letters := strings.Repeat("fragment", 50)
	for i := range letters {
		first := byte(wire.Continuation)
		if i == 0 {
			first = wire.Text
		}
		if i == len(letters)-1 {
			first |= wire.Fin
		}
		many = append(many, frame(first, letters[i:i+1]))
		manyWithPings = append(manyWithPings, ping, many[i])
		manyWant = append(manyWant, pong("ping"))
	}
	var sessions []session
	// Each in one write, frame by frame, and octet by octet.
	add := func(name string, code int, send [][]byte, want ...wire.Frame) {
		sessions = append(sessions,
			session{name, join(send...), want, code},
			session{name + ", frame by frame", send, want, code},
			session{name + ", octet by octet", chopped(1, send...), want, code})
	}
	add("5 ping in two fragments", 1002, [][]byte{frame(wire.Ping, "a"), final(wire.Continuation, "b")})
	add("5 pong in two fragments", 1002, [][]byte{frame(wire.Pong, "a"), final(wire.Continuation, "b")})
	add("5 Close in two fragments", 1002, [][]byte{frame(wire.Close, "\x03\xe8"), final(wire.Continuation, "b")})
	add("5 text in two fragments", 0, [][]byte{first, last}, whole)
	add("5 binary in two fragments", 0, [][]byte{frame(wire.Binary, "\xff"), final(wire.Continuation, "\xfe")}, binary("\xff\xfe"))
	add("5 ping between two fragments", 0, [][]byte{first, ping, last}, pong("ping"), whole)
	add("5 pong between two fragments", 0, [][]byte{first, final(wire.Pong, "?"), last}, whole)
	add("5 text in many fragments", 0, many, text(letters))
	add("5 text in many fragments with pings", 0, manyWithPings, append(manyWant, text(letters))...)
	add("5 empty fragments", 0, [][]byte{frame(wire.Text, ""), frame(wire.Continuation, ""), final(wire.Continuation, "")}, text(""))
	add("5 text between empty fragments", 0, [][]byte{frame(wire.Text, ""), frame(wire.Continuation, "middle"), final(wire.Continuation, "")}, text("middle"))
	add("5 final continuation with nothing to continue", 1002, [][]byte{final(wire.Continuation, "non-continuation"), final(wire.Text, "after")})
	add("5 continuation with nothing to continue", 1002, [][]byte{frame(wire.Continuation, "non-continuation"), final(wire.Text, "after")})
	add("5 continuation after a whole message", 1002, [][]byte{first, last, final(wire.Continuation, "more"), final(wire.Text, "after")}, whole)
	add("5 new text inside a message", 1002, [][]byte{first, final(wire.Text, "fragment2")})
	add("5 new binary inside a message", 1002, [][]byte{first, final(wire.Binary, "fragment2")})
	add("5 new fragmented text inside a message", 1002, [][]byte{first, frame(wire.Text, "fragment2"), last})
	runEach(t, sessions)
}

// TestAutoFragment is section 10: what a library's automatic fragmentation makes of a message.
func TestAutoFragment(t *testing.T) {
	whole := strings.Repeat("*", 65536)
	runEach(t, []session{echoed("10 65,536 bytes in fragments of 1,300", fragmented(wire.Text, whole, 1300), text(whole))})
}

// fragmented cuts a message into fragments of n bytes.
func fragmented(opcode byte, payload string, n int) (frames [][]byte) {
	first := opcode
	for len(payload) > n {
		frames = append(frames, frame(first, payload[:n]))
		first, payload = wire.Continuation, payload[n:]
	}
	return append(frames, frame(wire.Fin|first, payload))
}

// TestServerGoesFirst: the server ends the connection also if the peer never does (section 7.1.1).
func TestServerGoesFirst(t *testing.T) {
	each(t, serverGoesFirst)
}

func serverGoesFirst(t *testing.T, s *doyasa.Server) {
	for name, send := range map[string][]byte{"after our Close": closing(1000, ""), "after a violation": {0xFF, 0x80}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := wire.Dial(s.Addr, "/websocket")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(send)
			if f, err := conn.ReadFrame(); f.Code() == 0 {
				t.Fatalf("%v, %v; want a Close frame", f, err)
			}
			// Only a socket that the server has closed whole answers with a reset, which the next write reports.
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for since := time.Now(); ; <-tick.C {
				if _, err := conn.Write([]byte{0}); err != nil {
					return
				}
				if time.Since(since) > wire.Patience {
					t.Fatalf("%v after its Close frame the server still takes bytes", wire.Patience)
				}
			}
		})
	}
}
