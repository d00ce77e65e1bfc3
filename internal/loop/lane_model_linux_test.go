package loop

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// The model of wake-ups: any schedule of connections that join rooms, change them and end, of messages to a room, to one member and
// from one, of posts, ticks, pauses and panics, and of peers that read little or nothing, on one lane whose turns are steps of
// the schedule too. Whenever the lane has nothing left to do, nobody with bytes due may be idle: its socket must be full. And in the end,
// when all peers read, everything arrives.
//
//	go test -run TestNobodyIsIdle -rapid.checks=3500 ./internal/loop   # a million steps
func TestNobodyIsIdle(t *testing.T) {
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		defer w.close()
		for range 10 { // or a schedule would be over before much can happen
			rt.Repeat(w.actions(&steps))
		}
		w.finish()
	})
	t.Logf("%d steps", steps)
}

// actions are the steps of a schedule, those that come more often with more names.
func (w *world) actions(steps *int) map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":     func(*rapid.T) { *steps++ },
		"join": w.join,
		"end":  w.end,
		"move": w.move,
		"say":  w.say, "say 2": w.say,
		"send": w.send, "send 2": w.send,
		"peer":  w.peer,
		"read":  w.read,
		"pause": w.pause,
		"tick":  func(*rapid.T) { w.lane.ticked.Store(true) },
		"turn":  w.turn, "turn 2": w.turn, "turn 3": w.turn, "turn 4": w.turn,
		"rest": func(*rapid.T) { w.rest() },
	}
}

// A world is a lane with its rooms and members.
type world struct {
	*rapid.T
	lane    *lane
	rooms   []*room
	members []*member // those that have not been closed
	buf     []byte
}

// A room is what a hub would be: a log, of which only the length matters, and whoever is to be woken when it grows.
type room struct {
	head  int
	waker Waker // of the lane's group; nil while nobody has followed
}

// A member is a session with a cursor, and with bytes that are for it alone. The outer half of what it has is what its peer does.
type member struct {
	w    *world
	conn *laneConn
	room *room
	read int // the position in the room's log
	own  int // bytes due besides
	most int // the most that Due hands out at once

	answer int    // bytes due for each read
	next   *room  // to be followed in the method called follow
	follow string // Feed, Due or Tick
	panics string // Feed, Due, Wrote or Tick
	paused bool
	refuse bool // Feed fails
	over   bool // Due returns io.EOF when nothing is due

	fed   int
	dead  bool // the lane only waits for the peer, or for the end of the turn
	open  bool // the peer is
	fd    int  // the peer's descriptor
	wrote int  // bytes that the peer has written, and
	got   int  // read
	sent  int  // bytes that Wrote has reported
}

func newWorld(t *rapid.T) *world {
	ls := &Lanes{opts: Options{SlowTimeout: time.Hour}.withDefaults()}
	l, err := newLane(ls)
	if err != nil {
		t.Fatal(err)
	}
	l.perTurn = rapid.IntRange(1, 3).Draw(t, "perTurn")
	w := &world{T: t, lane: l, buf: zeros[:]}
	w.rooms = []*room{{}, {}}
	for range rapid.IntRange(1, 8).Draw(t, "members") {
		w.join(t)
	}
	w.rest()
	return w
}

var zeros [1 << 16]byte

func (w *world) close() {
	w.lane.cutOff(errors.New("the test is over"))
	w.lane.closeEnded()
	w.lane.drains.next.Stop()
	w.lane.epoll.Close()
}

// turn takes one turn of the lane, as lane.turns does.
func (w *world) turn(*rapid.T) { w.takeTurn() }

func (w *world) takeTurn() (busy bool) {
	defer func() {
		if v := recover(); v != nil {
			if v != errTrip {
				panic(v)
			}
			w.lane.endPanicked(v, nil)
			busy = true
		}
	}()
	return w.lane.turn()
}

// rest takes turns until nothing is left to do, and looks whether nobody is idle who should not be.
func (w *world) rest() {
	for turns := 0; w.takeTurn(); turns++ {
		if turns > 100_000 {
			w.Fatal("the lane never comes to rest")
		}
	}
	l := w.lane
	blocked := 0
	for i, m := range w.members {
		c := m.conn
		if m.dead {
			continue
		}
		if c.blocked() {
			blocked++
		}
		if m.due() > 0 && (!c.blocked() || takes(c.fd)) {
			w.Fatalf("member %d is idle with %d bytes due; blocked %v, its socket takes more: %v", i, m.due(), c.blocked(), takes(c.fd))
		}
		if !m.paused && !m.refuse && (!m.open || m.fed != m.wrote) {
			w.Fatalf("member %d has been fed %d bytes of %d, its peer is open: %v", i, m.fed, m.wrote, m.open)
		}
		if c.woken.Load() || c.waits() {
			w.Fatalf("member %d: woken %v, waits %v, and there is nothing to do", i, c.woken.Load(), c.waits())
		}
	}
	if !l.sweeps.empty() || l.moved.Blocked != blocked {
		w.Fatalf("a sweep in progress: %v; Blocked = %d, want %d", !l.sweeps.empty(), l.moved.Blocked, blocked)
	}
	free := 0
	for n := l.slots.free; n != 0 && free <= len(l.slots.all); n = l.slots.all[n-1].free {
		free++
	}
	if want := len(l.slots.all) - l.moved.Connections; free != want {
		w.Fatalf("%d of %d slots are on the free list, want %d", free, len(l.slots.all), want)
	}
	for key, g := range l.groups {
		if len(g.members) == 0 || g.retryEnd != 0 || g.sweepEnd != 0 || g.again {
			w.Fatalf("group %v rests as %+v", key, g)
		}
		for i, c := range g.members {
			if c.group != g || int(c.place) != i || c.phase == ended {
				w.Fatalf("group %v has %+v at %d", key, c, i)
			}
		}
	}
}

// takes tells whether a socket takes more.
func takes(fd int32) bool {
	poll := []unix.PollFd{{Fd: fd, Events: unix.POLLOUT}}
	for {
		if _, err := unix.Poll(poll, 0); err != unix.EINTR {
			return poll[0].Revents&unix.POLLOUT != 0
		}
	}
}

// finish lets all peers read, and demands that everything arrives.
func (w *world) finish() {
	for progress := true; progress; {
		w.rest()
		progress = false
		for _, m := range slices.Clone(w.members) {
			progress = m.receive(len(w.buf)) > 0 || progress
		}
	}
	for i, m := range w.members {
		if !m.dead && (m.due() > 0 || m.got != m.sent) {
			w.Fatalf("member %d has %d bytes due in the end; %d were written, and %d arrived", i, m.due(), m.sent, m.got)
		}
	}
}

// pick returns one of the members.
func (w *world) pick(t *rapid.T) *member {
	if len(w.members) == 0 {
		t.Skip("nobody is there")
	}
	return w.members[rapid.IntRange(0, len(w.members)-1).Draw(t, "member")]
}

func (w *world) pickRoom(t *rapid.T) *room {
	return w.rooms[rapid.IntRange(0, len(w.rooms)-1).Draw(t, "room")]
}

// size draws how much is to be sent: little, or more than a small socket holds, or more than one flush writes.
func (w *world) size(t *rapid.T) int {
	return rapid.SampledFrom([]int{1, 70, 3000, 60_000}).Draw(t, "size")
}

// join begins a connection whose first post follows a room, from somewhere in its log on.
func (w *world) join(t *rapid.T) {
	if len(w.members) >= 10 {
		t.Skip("the world is full")
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "small socket") {
		unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1)
	}
	m := &member{w: w, fd: fds[1], open: true, most: rapid.SampledFrom([]int{100, 2000, 40_000}).Draw(t, "most")}
	w.members = append(w.members, m)
	r, lag := w.pickRoom(t), rapid.IntRange(0, 100).Draw(t, "lag")
	early := rapid.SampledFrom([]int{0, 3}).Draw(t, "early")
	m.wrote = early
	w.lane.loop.running.Add(1)
	w.lane.serve(fds[0], zeros[:early], func(c Conn) Session {
		m.conn = c.(*laneConn)
		c.Wake()
		c.Post(func() { m.to(r, lag) })
		return m
	})
}

// end ends a member in one of the ways there are.
func (w *world) end(t *rapid.T) {
	m := w.pick(t)
	switch rapid.SampledFrom([]string{"over", "half", "close", "refuse", "panic"}).Draw(t, "how") {
	case "over":
		m.over = true
		m.conn.Wake()
	case "half":
		unix.Shutdown(m.fd, unix.SHUT_WR)
		m.open = false
	case "close":
		m.closePeer()
	case "refuse":
		m.refuse = true
	case "panic":
		m.panics = rapid.SampledFrom([]string{"Feed", "Due", "Wrote", "Tick"}).Draw(t, "panics")
	}
}

// move has a member follow another room, in a posted function or in one of its methods.
func (w *world) move(t *rapid.T) {
	m, r := w.pick(t), w.pickRoom(t)
	where := rapid.SampledFrom([]string{"Post", "Feed", "Due", "Tick"}).Draw(t, "where")
	if where != "Post" {
		m.follow, m.next = where, r
		return
	}
	lag := rapid.IntRange(0, 100).Draw(t, "lag")
	m.conn.Post(func() { m.to(r, lag) })
}

// say makes a room's log grow, and wakes those who follow it.
func (w *world) say(t *rapid.T) {
	r := w.pickRoom(t)
	r.head += w.size(t)
	if r.waker != nil {
		r.waker.Wake()
	}
}

// send has something for one member alone.
func (w *world) send(t *rapid.T) {
	m, n := w.pick(t), w.size(t)
	switch rapid.SampledFrom([]string{"Wake", "Post"}).Draw(t, "how") {
	case "Wake":
		m.own += n
		m.conn.Wake()
	case "Post":
		m.conn.Post(func() { m.own += n })
	}
}

// peer lets a peer write, and its session answer.
func (w *world) peer(t *rapid.T) {
	m := w.pick(t)
	m.answer = w.size(t)
	if m.open {
		if n, err := unix.Write(m.fd, zeros[:5]); err == nil {
			m.wrote += n
		}
	}
}

// read lets a peer read.
func (w *world) read(t *rapid.T) { w.pick(t).receive(w.size(t)) }

// pause lets a member pause, or go on.
func (w *world) pause(t *rapid.T) {
	m := w.pick(t)
	m.paused = !m.paused
	m.conn.Wake()
}

func (m *member) due() int {
	if m.room == nil {
		return m.own
	}
	return m.own + m.room.head - m.read
}

// to follows a room.
func (m *member) to(r *room, lag int) {
	m.room, m.read = r, max(0, r.head-lag)
	r.waker = m.conn.Follow(r)
}

// receive reads at the peer's end.
func (m *member) receive(most int) int {
	n, err := unix.Read(m.fd, m.w.buf[:most])
	if err != nil {
		return 0
	}
	m.got += n
	return n
}

func (m *member) closePeer() {
	unix.Close(m.fd)
	m.open, m.fd = false, -1
}

// errTrip is the value with which sessions panic.
var errTrip = errors.New("trip")

// called is what happens in all methods: the member panics or moves, if it is to do that there.
func (m *member) called(method string) {
	if m.panics == method {
		m.panics = ""
		panic(errTrip)
	}
	if m.follow == method {
		m.follow = ""
		m.to(m.next, 0)
	}
}

func (m *member) Feed(b []byte) error {
	m.fed += len(b)
	m.own += m.answer
	m.called("Feed")
	if m.refuse {
		return errors.New("enough")
	}
	return nil
}

func (m *member) Paused() bool { return m.paused }

func (m *member) Due(bufs [][]byte) ([][]byte, error) {
	m.called("Due")
	n := min(m.due(), m.most)
	switch {
	case n == 0 && m.over:
		m.dead = true
		return bufs, io.EOF
	case n == 0:
		return bufs, nil
	case n > 50: // in two buffers
		return append(bufs, zeros[:50], zeros[:n-50]), nil
	}
	return append(bufs, zeros[:n]), nil
}

func (m *member) Wrote(n int) {
	m.sent += n
	own := min(n, m.own)
	m.own -= own
	if m.room != nil {
		m.read += n - own
	}
	m.called("Wrote")
}

func (m *member) Tick(time.Time) error {
	m.called("Tick")
	return nil
}

func (m *member) Panicked(any, []byte) []byte {
	m.dead = true
	return []byte("last words")
}

func (m *member) Closed(error) {
	m.dead = true
	if m.fd >= 0 {
		m.closePeer()
	}
	m.w.members = slices.DeleteFunc(m.w.members, func(o *member) bool { return o == m })
}
