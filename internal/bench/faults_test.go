package bench

import (
	"bytes"
	"net"
	"testing"

	"github.com/doyasa/doyasa/wsproto"
)

// first is a fault of the first room's member 3 at message 20.
func first(what func(frame []byte, nc net.Conn) [][]byte) fault {
	return func(_ *faulty, member, n int, frame []byte, nc net.Conn) [][]byte {
		if member == 3 && n == 20 {
			return what(frame, nc)
		}
		return [][]byte{frame}
	}
}

// swap exchanges messages 20 and 21 for the members that it is true for.
func swap(of func(member int) bool) fault {
	return func(s *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
		switch {
		case !of(member):
		case n == 20:
			s.held = frame
			return nil
		case n == 21:
			return [][]byte{frame, s.held}
		}
		return [][]byte{frame}
	}
}

// Every fault that a server can have is found, counted, and makes the verdict.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault
		v1    bool
		want  FaultReport
		blame bool // if the member with the fault happens to be read first, the others are out of its order
	}{
		{name: "none"},
		{name: "none in doyasa.v1", v1: true},
		{
			name:  "dropped for one",
			fault: first(func([]byte, net.Conn) [][]byte { return nil }),
			want:  FaultReport{Lost: 1},
			blame: true,
		},
		{
			name: "dropped for all",
			fault: func(_ *faulty, _, n int, frame []byte, _ net.Conn) [][]byte {
				if n == 20 {
					return nil
				}
				return [][]byte{frame}
			},
			want: FaultReport{Lost: testMembers},
		},
		{
			name: "the last dropped for all",
			fault: func(_ *faulty, _, n int, frame []byte, _ net.Conn) [][]byte {
				if n == testMessages {
					return nil
				}
				return [][]byte{frame}
			},
			want: FaultReport{Lost: testMembers},
		},
		{
			name: "the last dropped for one",
			fault: func(_ *faulty, member, n int, frame []byte, _ net.Conn) [][]byte {
				if n == testMessages && member == 5 {
					return nil
				}
				return [][]byte{frame}
			},
			want: FaultReport{Lost: 1},
		},
		{
			name:  "doubled for one",
			fault: first(func(frame []byte, _ net.Conn) [][]byte { return [][]byte{frame, frame} }),
			want:  FaultReport{Doubled: 1},
		},
		{
			name: "doubled for all",
			fault: func(_ *faulty, _, n int, frame []byte, _ net.Conn) [][]byte {
				if n == 20 {
					return [][]byte{frame, frame}
				}
				return [][]byte{frame}
			},
			want: FaultReport{Doubled: testMembers},
		},
		{
			name:  "swapped for one",
			fault: swap(func(member int) bool { return member == 3 }),
			want:  FaultReport{Reordered: 1},
			blame: true,
		},
		{
			name: "a byte changed",
			fault: first(func(frame []byte, _ net.Conn) [][]byte {
				frame = bytes.Clone(frame)
				frame[len(frame)-3] ^= 1
				return [][]byte{frame}
			}),
			want: FaultReport{Damaged: 1},
		},
		{
			name: "cut short",
			fault: first(func(frame []byte, _ net.Conn) [][]byte {
				return [][]byte{textFrame(frame[2 : len(frame)-1])}
			}),
			want: FaultReport{Damaged: 1},
		},
		{
			name: "made longer",
			fault: first(func(frame []byte, _ net.Conn) [][]byte {
				return [][]byte{textFrame(append(bytes.Clone(frame[2:]), 'x'))}
			}),
			want: FaultReport{Damaged: 1},
		},
		{
			name: "of somebody else",
			fault: first(func(frame []byte, _ net.Conn) [][]byte {
				return [][]byte{textFrame([]byte("どやさ")), textFrame(nil), frame}
			}),
			want: FaultReport{Foreign: 2},
		},
		{
			name: "pings, and fragments with pongs between",
			fault: func(_ *faulty, _, _ int, frame []byte, _ net.Conn) [][]byte {
				p := frame[2:]
				return [][]byte{
					wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpPing}, []byte("are you there")),
					wsproto.AppendFrame(nil, wsproto.Header{Opcode: wsproto.OpText}, p[:7]),
					wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpPong}, nil),
					wsproto.AppendFrame(nil, wsproto.Header{}, p[7:50]),
					wsproto.AppendFrame(nil, wsproto.Header{Fin: true}, p[50:]),
				}
			},
		},
		{
			name: "a position left out in doyasa.v1",
			v1:   true,
			fault: first(func(frame []byte, _ net.Conn) [][]byte {
				return [][]byte{bytes.Replace(frame, []byte(`"prev":19`), []byte(`"prev":18`), 1)}
			}),
			want: FaultReport{Holes: 1},
		},
		{
			name: "a gap in doyasa.v1",
			v1:   true,
			fault: first(func([]byte, net.Conn) [][]byte {
				return [][]byte{textFrame([]byte(`{"type":"gap","from":20,"to":20}`))}
			}),
			blame: true,
			want:  FaultReport{Lost: 1, Holes: 1, Refused: map[string]int64{"gap": 1}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, func(t *testing.T, portable bool) {
				t.Parallel() // most of a run is waiting for what may still come
				s := &faulty{t: t, fault: tt.fault, v1: tt.v1}
				o := small(s.start())
				o.portable, o.V1 = portable, tt.v1
				rep := mustRun(t, o)
				want := tt.want
				if tt.blame && rep.Faults.Reordered >= testMembers-1 {
					want.Reordered = rep.Faults.Reordered
				}
				check(t, rep, want)
				if rep.Sent != testMessages {
					t.Errorf("said %d messages, want %d", rep.Sent, testMessages)
				}
			})
		})
	}
}

func check(t *testing.T, rep *Report, want FaultReport) {
	t.Helper()
	got := rep.Faults
	if got.Lost != want.Lost || got.Doubled != want.Doubled || got.Reordered != want.Reordered || got.Damaged != want.Damaged ||
		got.Strayed != want.Strayed || got.Holes != want.Holes || got.Closed != want.Closed || got.Foreign != want.Foreign ||
		len(got.Refused) != len(want.Refused) {
		t.Errorf("faults %+v, want %+v", got, want)
	}
	bad := want.Lost+want.Doubled+want.Reordered+want.Damaged+want.Strayed+want.Holes+want.Closed > 0
	if bad != (len(rep.Broken) > 0) {
		t.Errorf("broken promises %q", rep.Broken)
	}
}
