package wsproto

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/vectors"
)

// defaultLimits are those of vectors that name none.
var defaultLimits = Limits{MessageBytes: 65536, Fragments: 1024}

// record is all that an Assembler says about a stream.
type record struct {
	events  []string
	headers []Header
	err     error
	failed  int // bytes given when the error came
}

func (r record) String() string {
	return fmt.Sprintf("%q, headers %v, %v", r.events, r.headers, r.err)
}

// feed gives an Assembler a stream in pieces, of the sizes that next returns, each in memory of its own that is overwritten
// afterwards, as a read buffer is.
func feed(t testing.TB, a *Assembler, stream []byte, next func() int) (r record) {
	t.Helper()
	a.OnHeader = func(h Header) { r.headers = append(r.headers, h) }
	for given := 0; given < len(stream); {
		end := min(given+next(), len(stream))
		piece := bytes.Clone(stream[given:end])
		given = end
		for b := piece; len(b) > 0; {
			ev, rest, err := a.Next(b)
			if err != nil {
				if rest != nil || ev.Opcode != 0 || ev.Payload != nil {
					t.Fatalf("Next = %+v, %d bytes beside %v, want zeros", ev, len(rest), err)
				}
				if _, _, again := a.Next([]byte("more")); again != err {
					t.Fatalf("Next after %v = %v, want the same", err, again)
				}
				if a.Buffered() != 0 {
					t.Fatalf("Buffered() = %d after an error, want 0", a.Buffered())
				}
				r.err, r.failed = err, given
				return r
			}
			if ev.Opcode != OpContinuation {
				r.events = append(r.events, eventString(ev))
				if ev.Opcode == OpClose && a.Buffered() != 0 {
					t.Fatalf("Buffered() = %d after a Close frame, want 0", a.Buffered())
				}
			} else if len(rest) != 0 {
				t.Fatalf("Next left %d bytes without an event", len(rest))
			}
			b = rest
		}
		for i := range piece {
			piece[i] = 0xEE
		}
	}
	return r
}

// whole, bytewise and cutAt say how feed cuts.
func whole() int    { return math.MaxInt32 }
func bytewise() int { return 1 }
func cutAt(n int) func() int {
	return func() int {
		first := n
		n = math.MaxInt32
		return first
	}
}

func eventString(ev Event) string {
	if ev.Opcode == OpClose {
		return fmt.Sprintf("close %d %x", ev.Code, ev.Reason)
	}
	return fmt.Sprintf("%v %x", ev.Opcode, ev.Payload)
}

// streams are the vectors that an Assembler is held to, and the seeds of its fuzzing.
func streams(t testing.TB) []vectors.Stream {
	return vectors.ReadStreams(t, "testdata/stream.txt", "testdata/hostile.txt")
}

func newStreamAssembler(s vectors.Stream) *Assembler {
	role := RoleServer
	if s.Client {
		role = RoleClient
	}
	return NewAssembler(role, Limits{MessageBytes: s.Bytes, Fragments: s.Fragments})
}

// TestStreamVectors holds each row of testdata/stream.txt and hostile.txt against an Assembler: whole, byte by byte, and cut in two
// everywhere.
func TestStreamVectors(t *testing.T) {
	for _, s := range streams(t) {
		t.Run(s.Name, func(t *testing.T) {
			wire := s.Wire()
			check := func(how string, next func() int) record {
				got := feed(t, newStreamAssembler(s), wire, next)
				code := CloseCode(0)
				if got.err != nil {
					code = CloseCodeOf(got.err)
				}
				if fmt.Sprint(got.events) != fmt.Sprint(s.Events) || int(code) != s.Error {
					t.Errorf("%s: %q, %v, want %q, code %d", how, got.events, got.err, s.Events, s.Error)
				}
				return got
			}
			check("whole", whole)
			if got := check("byte by byte", bytewise); s.Error != 0 && got.failed > s.Early {
				t.Errorf("byte by byte: fails at byte %d, want at %d", got.failed, s.Early)
			}
			if len(wire) > 1000 { // the cuts that matter are those near the ends
				check("cut at 13", cutAt(13))
				check("cut at the last byte", cutAt(len(wire)-1))
				return
			}
			for cut := 1; cut < len(wire); cut++ {
				check(fmt.Sprintf("cut at %d", cut), cutAt(cut))
			}
		})
	}
}

// FuzzAssembler: a stream gives the same events, headers and error whole, byte by byte, and cut anywhere.
func FuzzAssembler(f *testing.F) {
	for i, s := range streams(f) {
		f.Add(s.Client, s.Wire(), uint64(i))
	}
	f.Fuzz(func(t *testing.T, client bool, stream []byte, seed uint64) {
		role := RoleServer
		if client {
			role = RoleClient
		}
		limits := Limits{MessageBytes: 300, Fragments: 5}
		rng := rand.New(rand.NewPCG(seed, 0))
		want := feed(t, NewAssembler(role, limits), stream, whole)
		for how, next := range map[string]func() int{
			"byte by byte": bytewise,
			"cut":          func() int { return 1 + rng.IntN(20) },
		} {
			if got := feed(t, NewAssembler(role, limits), stream, next); got.String() != want.String() {
				t.Fatalf("% x %s: %v, whole: %v", stream, how, got, want)
			}
		}
	})
}

// TestRoundTrip sends random messages in random fragments with control frames between them, in both roles, cut at random.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		role := Role(rng.IntN(2))
		var stream []byte
		var want []string
		var headers []Header
		send := func(op Opcode, fin bool, payload []byte) {
			h := Header{Fin: fin, Opcode: op, Masked: role == RoleServer}
			if h.Masked {
				h.MaskingKey = [4]byte{byte(rng.Int()), byte(rng.Int()), byte(rng.Int()), byte(rng.Int())}
			}
			stream = AppendFrame(stream, h, payload)
			h.PayloadLen = int64(len(payload))
			headers = append(headers, h)
		}
		for range 10 {
			op, payload := OpText, []byte(strings.Repeat("どaやéさ🍋", rng.IntN(40)))
			if rng.IntN(2) == 0 {
				op = OpBinary
				payload = bytes.Repeat([]byte{byte(rng.Int())}, rng.IntN(700))
			}
			message := fmt.Sprintf("%v %x", op, payload)
			for cont := op; ; cont = OpContinuation {
				n := rng.IntN(len(payload) + 1)
				fin := rng.IntN(3) == 0
				if fin {
					n = len(payload)
				}
				send(cont, fin, payload[:n])
				if payload = payload[n:]; fin {
					break
				}
				if rng.IntN(2) == 0 {
					ping := bytes.Repeat([]byte{byte(rng.Int())}, rng.IntN(MaxControlPayload+1))
					send(OpPing, true, ping)
					want = append(want, fmt.Sprintf("ping %x", ping))
				}
			}
			want = append(want, message)
		}
		a := NewAssembler(role, Limits{})
		got := feed(t, a, stream, func() int { return 1 + rng.IntN(300) })
		if got.err != nil || fmt.Sprint(got.events) != fmt.Sprint(want) {
			t.Fatalf("seed %d: %v, want %q", seed, got, want)
		}
		if !slices.Equal(got.headers, headers) {
			t.Fatalf("seed %d: OnHeader saw %v, want %v", seed, got.headers, headers)
		}
		if a.Buffered() != 0 {
			t.Fatalf("seed %d: Buffered() = %d between messages, want 0", seed, a.Buffered())
		}
	}
}

// TestOnlyReceivedBytesAreHeld: what a header promises costs nothing, what comes costs at most twice itself, and no more than the limit.
func TestOnlyReceivedBytesAreHeld(t *testing.T) {
	const limit = 1 << 20
	for _, promise := range []int64{limit, 3 << 18} {
		a := NewAssembler(RoleClient, Limits{MessageBytes: limit})
		a.Next(AppendHeader(nil, Header{Fin: true, Opcode: OpBinary, PayloadLen: promise}))
		if a.Buffered() != 0 {
			t.Fatalf("Buffered() = %d after the header, want 0", a.Buffered())
		}
		piece := make([]byte, 1000)
		for got := int64(0); got+int64(len(piece)) < promise; {
			a.Next(piece)
			got += int64(len(piece))
			if held := int64(a.Buffered()); held < got || held > 2*got || held > promise {
				t.Fatalf("Buffered() = %d with %d of %d bytes received", held, got, promise)
			}
		}
	}
}

// TestFragmentsGrowToTheLimit: without a length in sight the buffer still ends at the limit.
func TestFragmentsGrowToTheLimit(t *testing.T) {
	const limit = 1000
	a := NewAssembler(RoleClient, Limits{MessageBytes: limit})
	op := OpBinary
	for range limit {
		if _, _, err := a.Next(AppendFrame(nil, Header{Opcode: op}, []byte{1})); err != nil {
			t.Fatal(err)
		}
		if a.Buffered() > limit {
			t.Fatalf("Buffered() = %d, want at most %d", a.Buffered(), limit)
		}
		op = OpContinuation
	}
	_, _, err := a.Next(AppendFrame(nil, Header{Opcode: op}, []byte{1}))
	if CloseCodeOf(err) != CloseMessageTooBig {
		t.Errorf("one byte more: %v, want 1009", err)
	}
}

// TestHugePromise: 2⁶³-1 bytes are refused at the header, without memory.
func TestHugePromise(t *testing.T) {
	h := Header{Fin: true, Opcode: OpBinary, PayloadLen: math.MaxInt64}
	wire := AppendHeader(nil, h)
	a := NewAssembler(RoleClient, Limits{MessageBytes: 1 << 20})
	if _, _, err := a.Next(wire); CloseCodeOf(err) != CloseMessageTooBig {
		t.Errorf("Next = %v, want 1009", err)
	}

	// Without a limit the promise is believed, and costs what comes.
	a = NewAssembler(RoleClient, Limits{})
	if _, _, err := a.Next(append(wire, "Hello"...)); err != nil || a.Buffered() > 64 {
		t.Errorf("Next = %v with %d bytes held, want at most 64", err, a.Buffered())
	}
}

// TestBigMessages: 16 MiB in one frame, in 65,536 frames, and 64 KiB in 65,536 frames come out whole, with memory that grows with
// the message and not with the number of its pieces.
func TestBigMessages(t *testing.T) {
	tests := []struct {
		name              string
		frames, frameSize int
	}{
		{"16 MiB in one frame", 1, 16 << 20},
		{"16 MiB in 65,536 frames", 1 << 16, 256},
		{"64 KiB in 65,536 frames", 1 << 16, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			size := tt.frames * tt.frameSize
			var stream []byte
			for i := range tt.frames {
				h := Header{Fin: i == tt.frames-1, Opcode: OpContinuation, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}}
				if i == 0 {
					h.Opcode = OpText
				}
				stream = AppendFrame(stream, h, bytes.Repeat([]byte{'a'}, tt.frameSize))
			}
			a := NewAssembler(RoleServer, Limits{MessageBytes: int64(size)})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var got []byte
			for len(stream) > 0 && got == nil {
				b := stream[:min(len(stream), 4096)]
				stream = stream[len(b):]
				ev, _, err := a.Next(b)
				if err != nil {
					t.Fatal(err)
				}
				got = ev.Payload
			}
			runtime.ReadMemStats(&after)
			if len(got) != size || bytes.Count(got, []byte{'a'}) != size {
				t.Fatalf("message of %d bytes, want %d times a", len(got), size)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(4*size)+1<<16 {
				t.Errorf("allocated %d bytes for a message of %d, want at most four times that", cost, size)
			}
		})
	}
}

// TestPayloadIsNotCopied: a message that lies whole in the caller's bytes is handed out there, and costs no memory.
func TestPayloadIsNotCopied(t *testing.T) {
	b := AppendFrame(nil, Header{Fin: true, Opcode: OpText, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}}, []byte("どやさ"))
	a := NewAssembler(RoleServer, defaultLimits)
	ev, _, err := a.Next(b)
	if err != nil || string(ev.Payload) != "どやさ" {
		t.Fatalf("Next = %q, %v", ev.Payload, err)
	}
	if &ev.Payload[0] != &b[6] {
		t.Error("the payload is a copy, want it where it lay")
	}

	wire := bytes.Clone(b)
	one := func() {
		copy(b, wire)
		if ev, rest, err := a.Next(b); err != nil || ev.Opcode != OpText || len(rest) != 0 {
			t.Fatalf("Next = %+v, %d bytes, %v", ev, len(rest), err)
		}
	}
	wire = AppendFrame(nil, Header{Fin: true, Opcode: OpText, Masked: true}, bytes.Repeat([]byte("どやさ"), 100))
	b = bytes.Clone(wire)
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("a whole message allocates %v times, want never", n)
	}
	// A header that is cut is kept in the Assembler itself.
	if n := testing.AllocsPerRun(100, func() {
		copy(b, wire)
		a.Next(b[:5])
		a.Next(b[5:])
	}); n != 0 {
		t.Errorf("a cut header allocates %v times, want never", n)
	}
}

// TestErrorsCarryTheirSection: the error says which rule was broken.
func TestErrorsCarryTheirSection(t *testing.T) {
	sections := 0
	for _, file := range []string{"testdata/stream.txt", "testdata/hostile.txt"} {
		sectionOf := map[string]string{}
		for _, v := range vectors.Read(t, file) {
			sectionOf[v.Name] = v.Get("section")
		}
		for _, s := range vectors.ReadStreams(t, file) {
			got := feed(t, newStreamAssembler(s), s.Wire(), whole)
			if got.err == nil {
				continue
			}
			var pe *ProtocolError
			if !errors.As(got.err, &pe) || pe.Section == "" || pe.Detail == "" {
				t.Errorf("%s: %#v, want a *ProtocolError with section and detail", s.Name, got.err)
			} else if pe.Section == sectionOf[s.Name] {
				sections++
			} else if pe.Section != "5.5.1" { // a close reason that is not UTF-8 breaks two
				t.Errorf("%s: %v, want section %s", s.Name, pe, sectionOf[s.Name])
			}
		}
	}
	if sections == 0 {
		t.Error("no vector was compared")
	}
}

func BenchmarkAssembler(b *testing.B) {
	for _, n := range []int{64, 1024, 65536} {
		wire := AppendFrame(nil, Header{Fin: true, Opcode: OpText, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}},
			bytes.Repeat([]byte{'a'}, n))
		buf := make([]byte, len(wire))
		for _, size := range []int{len(wire), 4096} {
			if size > len(wire) {
				continue
			}
			b.Run(fmt.Sprintf("message=%d/read=%d", n, size), func(b *testing.B) {
				a := NewAssembler(RoleServer, Limits{MessageBytes: 1 << 20})
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(buf, wire) // Next unmasks in place
					for at := 0; at < len(buf); at += size {
						if _, _, err := a.Next(buf[at:min(at+size, len(buf))]); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// An assembler may be lent to another connection only while it keeps nothing of this one.
func TestBetween(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	frame := func(h Header, payload string) []byte {
		h.Masked, h.MaskingKey = true, key
		return AppendFrame(nil, h, []byte(payload))
	}
	wire := slices.Concat(
		frame(Header{Opcode: OpText}, "どや"),
		frame(Header{Fin: true, Opcode: OpPing}, "ping"),
		frame(Header{Fin: true, Opcode: OpContinuation}, "さ"),
		frame(Header{Fin: true, Opcode: OpBinary}, ""),
	)
	empty := len(frame(Header{Fin: true, Opcode: OpBinary}, ""))
	a := NewAssembler(RoleServer, Limits{})
	for i := range wire {
		want := i == 0 || i == len(wire)-empty
		if got := a.Between(); got != want {
			t.Errorf("after %d of %d bytes Between() = %v, want %v", i, len(wire), got, want)
		}
		if _, _, err := a.Next(bytes.Clone(wire[i : i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if !a.Between() {
		t.Error("after two whole messages Between() = false, want true")
	}
	a.Next(frame(Header{Fin: true, Opcode: OpClose}, ""))
	if a.Between() {
		t.Error("after a Close frame Between() = true, want false: it ignores what follows")
	}
	b := NewAssembler(RoleServer, Limits{})
	b.Next([]byte{0x81, 0x00})
	if b.Between() {
		t.Error("after an unmasked frame Between() = true, want false: it has failed")
	}
}

// A message that came in pieces is the receiver's to keep; one that came whole lies in what was given.
func TestOwn(t *testing.T) {
	a := NewAssembler(RoleServer, Limits{})
	frame := func(fin bool, op Opcode, payload string) []byte {
		return AppendFrame(nil, Header{Fin: fin, Opcode: op, Masked: true}, []byte(payload))
	}
	if ev, _, err := a.Next(frame(true, OpText, "whole")); err != nil || ev.Own {
		t.Errorf("%+v, %v, want what lies in the bytes given", ev, err)
	}
	if _, _, err := a.Next(frame(false, OpText, "in ")); err != nil {
		t.Fatal(err)
	}
	last := frame(true, OpContinuation, "pieces")
	ev, _, err := a.Next(last)
	if err != nil || !ev.Own {
		t.Fatalf("%+v, %v, want a buffer of its own", ev, err)
	}
	clear(last)
	for _, b := range [][]byte{frame(false, OpText, "another"), frame(true, OpContinuation, "message")} {
		if _, _, err := a.Next(b); err != nil {
			t.Fatal(err)
		}
	}
	if string(ev.Payload) != "in pieces" {
		t.Errorf("later it is %q, want it as it was", ev.Payload)
	}
}

// TestReuse: a buffer given back takes the next message that comes in pieces, if that fits, and is nobody's before and after.
func TestReuse(t *testing.T) {
	a := NewAssembler(RoleClient, Limits{MessageBytes: 1 << 20})
	inPieces := func(payload []byte) Event {
		t.Helper()
		wire := AppendFrame(nil, Header{Fin: true, Opcode: OpBinary}, payload)
		for _, piece := range [][]byte{wire[:len(wire)/3], wire[len(wire)/3 : len(wire)/2]} {
			if _, _, err := a.Next(piece); err != nil {
				t.Fatal(err)
			}
		}
		ev, _, err := a.Next(wire[len(wire)/2:])
		if err != nil || !ev.Own || !bytes.Equal(ev.Payload, payload) {
			t.Fatalf("%d bytes, own %v, %v; want the %d sent, in a buffer of their own", len(ev.Payload), ev.Own, err, len(payload))
		}
		return ev
	}
	first := inPieces(bytes.Repeat([]byte{1}, 1000))
	a.Reuse(first.Payload)
	if a.Buffered() != 0 || !a.Between() {
		t.Errorf("Buffered() = %d, Between() = %v with a buffer for reuse; want 0, true", a.Buffered(), a.Between())
	}
	second := inPieces(bytes.Repeat([]byte{2}, 900))
	if &second.Payload[0] != &first.Payload[0] {
		t.Error("the buffer given back is not used")
	}
	third := inPieces(bytes.Repeat([]byte{3}, 900))
	if &third.Payload[0] == &second.Payload[0] {
		t.Error("the buffer given back is used twice")
	}
	a.Reuse(third.Payload)
	inPieces(bytes.Repeat([]byte{4}, 5000)) // too large for it

	ev := inPieces(make([]byte, 5000))
	begin, end := []byte{0x82, 0x03, 'a'}, []byte("bc")
	if n := testing.AllocsPerRun(100, func() {
		a.Reuse(ev.Payload)
		a.Next(begin)
		ev, _, _ = a.Next(end)
	}); n != 0 || string(ev.Payload) != "abc" {
		t.Errorf("%q with %v allocations, want abc and none", ev.Payload, n)
	}
}

// BenchmarkAssemblerBatch reads a buffer full of messages, as under load.
func BenchmarkAssemblerBatch(b *testing.B) {
	for _, role := range []Role{RoleServer, RoleClient} {
		for _, n := range []int{16, 64, 125, 126} {
			var wire []byte
			const messages = 64
			for range messages {
				h := Header{Fin: true, Opcode: OpText, Masked: role == RoleServer}
				wire = AppendFrame(wire, h, bytes.Repeat([]byte{'a'}, n)) // a masking key of zeros: Next may unmask it again and again
			}
			b.Run(fmt.Sprintf("role=%d/message=%d", role, n), func(b *testing.B) {
				a := NewAssembler(role, Limits{MessageBytes: 1 << 20, Fragments: 1024})
				b.ReportAllocs()
				for done := 0; done < b.N; done += messages {
					for rest := wire; len(rest) > 0; {
						var err error
						if _, rest, err = a.Next(rest); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
