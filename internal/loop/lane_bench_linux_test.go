package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// due is a session with one frame, of which left bytes are due.
type due struct {
	frame []byte
	left  int
}

func (d *due) Feed([]byte) error { return nil }
func (d *due) Paused() bool      { return false }
func (d *due) Due(bufs [][]byte) ([][]byte, error) {
	if d.left == 0 {
		return bufs, nil
	}
	return append(bufs, d.frame[:d.left]), nil
}
func (d *due) Wrote(n int)                 { d.left -= n }
func (d *due) Tick(time.Time) error        { return nil }
func (d *due) Panicked(any, []byte) []byte { return nil }
func (d *due) Closed(error)                {}

// A pass is a lane whose turns the test takes, with members that follow one key, and the descriptors of their peers.
type pass struct {
	lane     *lane
	group    *group
	sessions []*due
	peers    []int
	buf      []byte
}

func newPass(t testing.TB, members int) *pass {
	ls := NewLanes(Options{})
	t.Cleanup(func() { ls.portable.Shutdown(t.Context()) })
	l, err := newLane(ls)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.epoll.Close() })
	p := &pass{lane: l, buf: make([]byte, 4096)}
	frame := make([]byte, 66)
	for range members {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
		s := &due{frame: frame}
		c := &laneConn{lane: l, session: s, fd: int32(fds[0])}
		c.begin(nil)
		p.group = c.Follow("room").(*group)
		p.sessions, p.peers = append(p.sessions, s), append(p.peers, fds[1])
	}
	return p
}

// publish makes the frame due to all members.
func (p *pass) publish() {
	for _, s := range p.sessions {
		s.left = len(s.frame)
	}
}

// deliver wakes the group and takes turns until nothing is left to do.
func (p *pass) deliver() {
	p.group.Wake()
	for p.lane.turn() {
	}
}

// take reads what the peers have got, so that no socket becomes full.
func (p *pass) take(t testing.TB) {
	for _, fd := range p.peers {
		if n, err := unix.Read(fd, p.buf); n == 0 || err != nil {
			t.Fatalf("a peer read %d, %v", n, err)
		}
	}
}

// A delivery allocates nothing.
func TestLanePassAllocatesNothing(t *testing.T) {
	for _, size := range []int{66, maxBurst} {
		p := newPass(t, 1000)
		p.buf = make([]byte, maxBurst)
		for _, s := range p.sessions {
			s.frame = make([]byte, size)
		}
		n := testing.AllocsPerRun(5, func() {
			p.publish()
			p.deliver()
			p.take(t)
		})
		if n > 2 { // for all thousand: the list of tasks may still grow
			t.Errorf("a pass over 1,000 members with %d bytes allocates %v times, want hardly ever", size, n)
		}
	}
}

// A sweep of a thousand members with one message due to each, and one with nothing due: what a delivery costs besides the system
// call.
func BenchmarkLanePass(b *testing.B) {
	for _, idle := range []bool{false, true} {
		name := map[bool]string{false: "sending", true: "nothing due"}[idle]
		b.Run(name, func(b *testing.B) {
			p := newPass(b, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if idle {
					p.deliver()
					continue
				}
				b.StopTimer()
				p.publish()
				b.StartTimer()
				p.deliver()
				b.StopTimer()
				p.take(b)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/member")
		})
	}
}
