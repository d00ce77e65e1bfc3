package conformance_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// TestLarge is section 9, without its clock: large messages, small fragments, small writes, many messages one after the other.
func TestLarge(t *testing.T) {
	doyasa.Long(t)
	each(t, large)
}

func large(t *testing.T, s *doyasa.Server) {
	for opcode, letter := range map[byte]string{wire.Text: "どやさどや!", wire.Binary: "\xfe\x00\x01\xff"} {
		payload := func(n int) string { return strings.Repeat(letter, n/len(letter)+1)[:n/len(letter)*len(letter)] }
		echo := func(p string) wire.Frame { return wire.Frame{First: wire.Fin | opcode, Payload: []byte(p)} }
		var sessions []session
		for _, n := range []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib} {
			p := payload(n)
			sessions = append(sessions, echoed(fmt.Sprintf("9 opcode %d of %d bytes", opcode, n), join(final(opcode, p)), echo(p)))
		}
		for n := 64; n <= 4*mib; n *= 4 {
			p := payload(4 * mib)
			sessions = append(sessions, echoed(fmt.Sprintf("9 opcode %d of 4 MiB in fragments of %d", opcode, n), join(fragmented(opcode, p, n)...), echo(p)))
		}
		p := payload(16 * mib)
		sessions = append(sessions, echoed(fmt.Sprintf("9 opcode %d of 16 MiB in fragments of 64 KiB", opcode), fragmented(opcode, p, 64*kib), echo(p)))
		sessions = append(sessions,
			echoed(fmt.Sprintf("9 opcode %d of 16 MiB in 65,536 frames", opcode), join(fragmented(opcode, p, len(p)/65536)...), echo(p)),
			echoed(fmt.Sprintf("9 opcode %d of 64 KiB in frames of one byte", opcode), join(fragmented(opcode, payload(64*kib), 1)...), echo(payload(64*kib))))
		for n := 64; n <= 2048; n *= 2 {
			p := payload(mib)
			sessions = append(sessions, echoed(fmt.Sprintf("9 opcode %d of 1 MiB in writes of %d", opcode, n), chopped(n, final(opcode, p)), echo(p)))
		}
		run(t, s, sessions)
		for _, n := range []int{0, 16, 64, 256, 1024, 4096} {
			t.Run(fmt.Sprintf("9 opcode %d 1,000 messages of %d bytes", opcode, n), func(t *testing.T) {
				t.Parallel()
				conversation(t, s.Addr, opcode, []byte(payload(n + len(letter)))[:n/len(letter)*len(letter)])
			})
		}
	}
}

// conversation says a thing a thousand times, each time waiting for the echo.
func conversation(t *testing.T, addr string, opcode byte, payload []byte) {
	conn, err := wire.Dial(addr, fmt.Sprintf("/websocket?room=c%d", rooms.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 1000 {
		if err := conn.Send(opcode, payload); err != nil {
			t.Fatal(err)
		}
		if f, err := conn.ReadFrame(); err != nil || f.First != wire.Fin|opcode || !bytes.Equal(f.Payload, payload) {
			t.Fatalf("echo %d: %v, %v", i+1, f, err)
		}
	}
	conn.Send(wire.Close, wire.ClosePayload(1000, ""))
	ends(t, conn, 1000)
}
