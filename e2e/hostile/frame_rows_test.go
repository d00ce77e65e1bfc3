package hostile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
	"github.com/doyasa/doyasa/internal/vectors"
)

// frameRows are A-F, frames.
var frameRows = []row{
	{id: "F1", input: "frames that are not masked"},
	{id: "F2", input: "RSV bits, and D1"},
	{id: "F3", input: "reserved opcodes"},
	{id: "F4", input: "lengths that are not in their shortest form"},
	{id: "F5", input: "65,535 in the 64-bit form"},
	{id: "F6", input: "lengths with the top bit set", run: func(t *testing.T, s *stand) { runPromises(t, s, 1<<63|1, 1002) }},
	{id: "F7", input: "huge lengths", run: func(t *testing.T, s *stand) { runPromises(t, s, 1<<63-1, 1009) }},
	{id: "F8", input: "a message of 65,536 bytes, and one byte more"},
	{id: "F9", input: "fragments up to the limit, and one byte more"},
	{id: "F10", input: "fragments of one byte for ever", note: "1008 at the 1,025th: the cap is limits.message_fragments"},
	{id: "F11", input: "empty fragments for ever"},
	{id: "F12", input: "continuation with nothing to continue"},
	{id: "F13", input: "a new message inside a fragmented one"},
	{id: "F14", input: "control frames of 126 bytes"},
	{id: "F15", input: "fragmented control frames"},
	{id: "F16", input: "pings between fragments"},
	{id: "F17", input: "a ping of 125 bytes of any kind", run: runEveryByte},
	{id: "F18", input: "ten pings at once"},
	{id: "F19", input: "pings without end, pongs unread", run: runPingsUnread},
	{id: "F20", input: "100,000 unsolicited pongs", run: runPongs},
	{id: "F21", input: "Close without payload"},
	{id: "F22", input: "Close with one byte"},
	{id: "F23", input: "close codes that may not be sent"},
	{id: "F24", input: "Close with a reason that is not UTF-8"},
	{id: "F25", input: "Close of 126 bytes"},
	{id: "F26", input: "what comes behind Close", run: func(t *testing.T, s *stand) {
		runUnsaid(t, s, bytes.Join([][]byte{wire.Append(nil, wire.Fin|wire.Close, []byte("\x03\xe8")), wire.Append(nil, wire.Fin|wire.Text, []byte("unsaid"))}, nil))
	}},
	{id: "F27", input: "Close inside a message", run: func(t *testing.T, s *stand) {
		runUnsaid(t, s, bytes.Join([][]byte{wire.Append(nil, wire.Text, []byte("unsaid")), wire.Append(nil, wire.Fin|wire.Close, []byte("\x03\xe8"))}, nil))
	}},
	{id: "F28", input: "the end of the stream within a frame"},
	{id: "F29", input: "bytes that UTF-8 never has"},
	{id: "F30", input: "a character cut by fragments"},
	{id: "F31", input: "surrogates, overlong and cut-off characters"},
	{id: "F32", input: "a binary message in doyasa.v1", run: func(t *testing.T, s *stand) {
		p, _ := s.dialV1(t, "")
		p.Send(wire.Binary, []byte("{}"))
		p.closed(1003)
	}},
	{id: "F33", input: "an empty text message in doyasa.v1", run: func(t *testing.T, s *stand) {
		p, _ := s.dialV1(t, "")
		p.Send(wire.Text, nil)
		p.failed("bad_json")
		p.open()
	}},
	{id: "F34", input: "masking keys of zeros and ones"},
	{id: "F35", input: "a hundred frames in one segment"},
	{id: "F36", input: "everything in segments of one byte, and vectors of no row", run: runBytewise},
	{id: "F37", input: "the header of F6, a pause, one more byte"},
	{id: "F38", input: "a peer that stops reading", run: func(t *testing.T, s *stand) { runNotReading(t, s, 1) }},
	{id: "F39", input: "many peers that stop reading", run: func(t *testing.T, s *stand) { runNotReading(t, s, size(100, 10)) }},
	{id: "F40", input: "one that sends at full speed", run: runFlood, note: "raw is read more slowly, doyasa.v1 gets errors, then 1008"},
	{id: "F41", input: "a peer that half-closes and waits"},
	{id: "F42", input: "a peer that is never heard from again", run: runSilentPeer},
	{id: "F43", input: "connect, send, vanish", run: runVanish},
	{id: "F44", input: "a peer that never answers the Close", run: runCloseUnanswered, note: "at 1 s"},
	{id: "F45", input: "other protocols typed into the connection"},
}

// runPromises: a promise costs nothing, however many make it.
func runPromises(t *testing.T, s *stand, length uint64, code int) {
	header := append(binary.BigEndian.AppendUint64([]byte{0x82, 0xFF}, length), 1, 2, 3, 4)
	growth := s.server.WatchRSS(t)
	var peers []*peer
	for range size(1000, 100) {
		peers = append(peers, s.dial(t, ""))
	}
	for _, p := range peers {
		p.Write(header)
	}
	for _, p := range peers {
		p.closed(code)
	}
	if grown := growth(); grown > 64<<20 {
		t.Errorf("%d MiB more in use, want at most 64", grown>>20)
	}
}

// runEveryByte: each byte of a ping comes back, alone in its segment.
func runEveryByte(t *testing.T, s *stand) {
	p := s.dial(t, "")
	p.SetNoDelay(true)
	payload := make([]byte, 125)
	for i := range payload {
		payload[i] = byte(i * 37)
	}
	for _, b := range wire.Append(nil, wire.Fin|wire.Ping, payload) {
		p.Write([]byte{b})
	}
	p.expect(wire.Frame{First: wire.Fin | wire.Pong, Payload: payload})
}

// runPingsUnread: answers are not piled up for who does not read them. The server stops reading and then closes.
func runPingsUnread(t *testing.T, s *stand) {
	p := s.dial(t, "?room=pings")
	growth := s.server.WatchRSS(t)
	pings := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Ping, bytes.Repeat([]byte("p"), 125)), 1000)
	p.SetWriteDeadline(time.Now().Add(wire.Patience))
	sent := 0
	for range size(1_000_000, 1_000_000) / 1000 {
		n, err := p.Write(pings)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d bytes the server neither reads nor closes", sent)
		}
		if err != nil {
			if grown := growth(); grown > 32<<20 {
				t.Errorf("%d MiB more in use", grown>>20)
			}
			return
		}
	}
	t.Errorf("the server has taken %d bytes of pings whose pongs nobody reads", sent)
}

func runPongs(t *testing.T, s *stand) {
	p := s.dial(t, "")
	pongs := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Pong, []byte("!")), 1000)
	for range 100 {
		if _, err := p.Write(pongs); err != nil {
			t.Fatal(err)
		}
	}
	p.open()
}

// runUnsaid: what was not said in order is said to nobody.
func runUnsaid(t *testing.T, s *stand, stream []byte) {
	p := s.dial(t, "")
	p.Write(stream)
	p.closed(1000)
	if _, err := s.crowd.settle(); err != nil {
		t.Error(err)
	}
	if err := s.crowd.heardNothingLike("unsaid"); err != nil {
		t.Error(err)
	}
}

// runBytewise plays every vector again in segments of one byte, those of large messages apart; in the soak also cut in two at every
// offset, as the assembler's and the session's own tests always do.
func runBytewise(t *testing.T, s *stand) {
	for _, v := range streams(t) {
		if len(v.Wire()) > 1000 {
			continue
		}
		var writes []vectors.Write
		for _, w := range v.Writes {
			for i, b := range w.Bytes {
				one := vectors.Write{Bytes: []byte{b}}
				if i == 0 {
					one.Pause = w.Pause
				}
				writes = append(writes, one)
			}
		}
		t.Run(v.Name, func(t *testing.T) { playStream(t, s, v, writes) })
		stream := v.Wire()
		for cut := 1; soak && len(v.Events) < 20 && cut < len(stream); cut++ { // many messages take their time
			playStream(t, s, v, []vectors.Write{{Bytes: stream[:cut]}, {Bytes: stream[cut:], Pause: time.Millisecond}})
		}
	}
}

// runNotReading: who does not read is cut off, and who reads in the same room gets everything at once.
func runNotReading(t *testing.T, s *stand, n int) {
	var stalled []*peer
	for range n {
		conn := s.connect(t)
		conn.SetReadBuffer(2048)
		conn.Write(wire.Request("a", "/websocket?room=stalled"))
		if err := conn.Accepted(); err != nil {
			t.Fatal(err)
		}
		stalled = append(stalled, &peer{Conn: conn, t: t, stand: s})
	}
	talker := s.dial(t, "?room=stalled")
	big := strings.Repeat("x", 60_000)
	for i := range 3 * s.timers.burst { // far more than socket buffers hold
		message := fmt.Sprint(i, " ", big)
		if err := talker.Send(wire.Text, []byte(message)); err != nil {
			t.Fatal(err)
		}
		talker.expect(text(message))
	}
	// They still do not read, so only what they write can tell them that they have been cut off.
	for _, p := range stalled {
		p.released()
	}
	talker.open()
}

// runFlood: the bystanders' room gets as much of a flood as the limit lets through, raw and doyasa.v1.
func runFlood(t *testing.T, s *stand) {
	t.Run("raw", func(t *testing.T) {
		p := s.dial(t, "")
		flood := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Text, []byte("flood")), 1000)
		p.SetWriteDeadline(time.Now().Add(2 * time.Second))
		sent, since := 0, time.Now()
		for time.Since(since) < 2*time.Second {
			n, err := p.Write(flood)
			if sent += n; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a raw sender over its rate is closed: %v", err)
			}
		}
		heard := 0
		for heard < s.timers.burst {
			f, err := p.next()
			if err != nil {
				t.Fatalf("%v after %d messages of a flood, want at least the burst, %d", err, heard, s.timers.burst)
			}
			if string(f.Payload) == "flood" {
				heard++
			}
		}
		p.SetReadDeadline(time.Now().Add(time.Second)) // for as long the rest is counted
		for {
			f, err := p.next()
			if err != nil {
				break
			}
			if string(f.Payload) == "flood" {
				heard++
			}
		}
		if most := s.timers.burst + int(time.Since(since).Seconds()+1)*s.timers.perSecond; heard > most {
			t.Errorf("%d messages of a flood came through in %v, want at most %d", heard, time.Since(since), most)
		}
	})
	t.Run("doyasa.v1", func(t *testing.T) {
		p, _ := s.dialV1(t, "?room=flood")
		go func() {
			flood := bytes.Repeat(wire.Append(nil, wire.Fin|wire.Text, say("flood")), 100)
			for {
				if _, err := p.Write(flood); err != nil {
					return
				}
			}
		}()
		limited := 0
		for {
			f, err := p.next()
			if err != nil {
				t.Fatalf("%v behind %d errors, want Close 1008", err, limited)
			}
			if f.Code() != 0 {
				if f.Code() != 1008 || limited < 50 {
					t.Errorf("%v (code %d) behind %d errors; want 1008 behind about a hundred", f, f.Code(), limited)
				}
				break
			}
			if strings.Contains(string(f.Payload), `"rate_limited"`) {
				limited++
			}
		}
	})
}

// runSilentPeer: pings find who is not there any more.
func runSilentPeer(t *testing.T, s *stand) {
	raw := s.dial(t, "?room=silent")
	v1, _ := s.dialV1(t, "?room=silent2")
	raw.gone(1001)
	v1.gone(1001)
}

// runCloseUnanswered: the server ends the connection also if the peer never does (section 7.1.1).
func runCloseUnanswered(t *testing.T, s *stand) {
	for _, stream := range [][]byte{wire.Append(nil, wire.Fin|wire.Close, nil), {0x81, 0x00}} {
		p := s.dial(t, "")
		p.Write(stream)
		p.closed(1005, 1002)
		p.released()
	}
}
