package bench

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/doyasa/doyasa/wsproto"
)

// However the stream of bytes is cut, and whatever frames stand between, what is found in it is the same.
func TestParseCuts(t *testing.T) {
	const messages = 20
	rapid.Check(t, func(t *rapid.T) {
		r := offline(1, 1, messages)
		var stream []byte
		for n := range messages {
			f := r.messageFrame(0, n)
			switch rapid.IntRange(0, 3).Draw(t, "form") {
			case 0:
				cut := rapid.IntRange(0, 64).Draw(t, "fragment")
				stream = wsproto.AppendFrame(stream, wsproto.Header{Opcode: wsproto.OpText}, f[2:2+cut])
				stream = wsproto.AppendFrame(stream, wsproto.Header{Fin: true, Opcode: wsproto.OpPong}, []byte("between"))
				stream = wsproto.AppendFrame(stream, wsproto.Header{Fin: true}, f[2+cut:])
			case 1:
				stream = append(stream, textFrame([]byte("どやさ"))...)
				stream = append(stream, f...)
			default:
				stream = append(stream, f...)
			}
		}
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "cut")
			r.parse(0, &r.conns[0], stream[:n:n], 2*time.Second)
			stream = stream[n:]
		}
		r.judge()
		if r.arrived != messages || r.faults.total() != 0 {
			t.Fatalf("%d deliveries, faults %+v; want %d and none", r.arrived, r.faults, messages)
		}
	})
}

// Connections whose messages are cut take turns, and none gets a piece of another's: an Assembler serves one at a time, and is free again
// when nothing is left in it.
func TestParseTurns(t *testing.T) {
	const members, messages = 4, 10
	rapid.Check(t, func(t *rapid.T) {
		r := offline(members, 1, messages)
		r.opts.Size, r.filler = 1024, newFiller(1024)
		var streams [members][]byte
		for i := range members {
			for n := range messages {
				streams[i] = append(streams[i], r.messageFrame(0, n)...)
			}
		}
		for left := members; left > 0; {
			i := rapid.IntRange(0, members-1).Draw(t, "member")
			if len(streams[i]) == 0 {
				continue
			}
			n := rapid.IntRange(1, len(streams[i])).Draw(t, "cut")
			r.parse(i, &r.conns[i], streams[i][:n:n], 2*time.Second)
			if streams[i] = streams[i][n:]; len(streams[i]) == 0 {
				left--
			}
		}
		r.judge()
		if r.arrived != members*messages || r.faults.total() != 0 {
			t.Fatalf("%d deliveries, faults %+v; want %d and none", r.arrived, r.faults, members*messages)
		}
		for i := range r.conns {
			if r.conns[i].in != nil {
				t.Errorf("connection %d keeps an Assembler with nothing in it", i)
			}
		}
		if n := len(r.assemblers); n < 1 || n > members {
			t.Errorf("%d Assemblers for %d connections", n, members)
		}
	})
}

// BenchmarkReceive is what one delivery costs on this side of the sockets, when many members of a room receive the same: it must stay
// far below what it costs the server.
func BenchmarkReceive(b *testing.B) {
	const members = 100
	for _, tt := range []struct {
		size, messages, cut int // bytes of a message, messages in each read, reads that make one message if not 0
		v1                  bool
	}{{64, 1, 0, false}, {64, 64, 0, false}, {64, 64, 0, true}, {1024, 16, 0, false}, {65536, 1, 0, false}, {65536, 1, 3, false}} {
		b.Run(fmt.Sprintf("size=%d/messages=%d/cut=%d/v1=%v", tt.size, tt.messages, tt.cut, tt.v1), func(b *testing.B) {
			r := offline(members, 1, 0)
			r.opts.Size, r.opts.V1, r.filler = tt.size, tt.v1, newFiller(tt.size)
			var stream []byte
			n := 0
			b.ReportAllocs()
			began := ownCPU()
			for done := 0; done < b.N; done += members * tt.messages {
				stream = stream[:0]
				for range tt.messages {
					p := append(appendHead(nil, newKey(0, uint64(n)), r.tag, time.Second), r.filler...)
					n++
					if tt.v1 {
						p = fmt.Appendf(nil, `{"type":"message","seq":%d,"prev":%d,"id":"01a22b58-c6a6-734a-863c-fb0ff59f0f5e","from":{"id":"371b393e-4238-819f-ab89-9344604e4013","name":"Guest 14107"},"text":"%s","at":1796023568038}`, n, n-1, p)
					}
					stream = append(stream, textFrame(p)...)
				}
				r.senders[0].issued = uint64(n)
				for i := range members {
					rest := stream
					for cut := range tt.cut {
						at := len(rest) / (tt.cut - cut)
						r.parse(i, &r.conns[i], rest[:at], 2*time.Second)
						rest = rest[at:]
					}
					r.parse(i, &r.conns[i], rest, 2*time.Second)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(ownCPU()-began)/float64(r.arrived), "cpu-ns/op") // moves less on a busy machine
			if r.faults.total() != 0 || r.arrived != int64(n*members) {
				b.Fatalf("%d deliveries, faults %+v", r.arrived, r.faults)
			}
		})
	}
}
