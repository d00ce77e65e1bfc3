// Package bench is a load generator for rooms: it opens connections to a server, says messages on some of them, and holds every
// receiver to the room's promises: nothing lost, nothing doubled, nothing damaged, one order for all.
//
// It is one event loop on one goroutine, so that it costs no more than the server it measures. Latency is counted from when a
// message was due, not from when it could be sent: a server that stalls its senders cannot hide it (coordinated omission).
//
// It must not know a room's inside: it sees what any client sees, and what the operating system says of the server's process.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/doyasa/doyasa/wsproto"
)

// Run connects, loads and judges. ctx ends the measurement early, with a report on what there was. An error means that nothing
// could be measured: nobody there, a refused handshake; broken promises are in the report instead.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.patience == 0 {
		o.patience = 10 * time.Second
	}
	r, err := newRun(ctx, o)
	if err != nil {
		return nil, err
	}
	defer r.sockets.shutdown()
	if err := r.connect(); err != nil {
		return nil, err
	}
	switch {
	case o.Idle:
		err = r.idle()
	default:
		err = r.load()
	}
	if err != nil {
		return nil, err
	}
	return r.report(), nil
}

// run is the state of one measurement. Everything is owned by the goroutine of Run.
type run struct {
	ctx     context.Context
	opts    Options
	host    string // of the Host header
	base    time.Time
	tag     uint64 // of our messages, so that those of others are not judged
	sockets transport
	conns   []conn
	rooms   []room
	groups  []group
	senders []sender
	due     schedule // open loop: what each room says next
	filler  []byte   // what stands behind the head of each payload
	lead    []byte   // the header of a raw message's frame as it comes back
	frame   []byte   // scratch: a payload being sent
	dirty   []int    // connections with something new to send

	phase      string
	connecting int // handshakes under way
	open       int
	failed     error // why the run cannot go on
	synced     int   // members that have seen a probe

	from, until time.Duration // a message due then is measured; until is 0 while it is not known
	sending     bool          // senders may say something new
	sent        int64         // measured messages
	expected    int64         // deliveries that are owed for what has been said
	arrived     int64         // deliveries, of all messages
	measured    int64         // deliveries of measured messages
	moved       time.Duration // when something last arrived

	server  *process // nil when it is not on this machine
	marks   marks
	faults  faults
	printed struct {
		at      time.Duration
		arrived int64
	}
}

// marks are what was read off the server's and our own process at the turns of a run.
type marks struct {
	before, connected, start, end usage
	peak                          int64 // resident bytes, the most seen
	startAt, endAt                time.Duration
	connectTime                   time.Duration
	arrivedAtStart, arrivedAtEnd  int64
	ownStart, ownEnd              time.Duration
}

// group is one kind of room, measured by itself.
type group struct {
	Group
	first, last int // rooms [first, last)
	seen        *histogram
	all         *histogram
}

func newRun(ctx context.Context, o Options) (*run, error) {
	addr, err := resolve(ctx, o.Address)
	if err != nil {
		return nil, err
	}
	r := &run{ctx: ctx, opts: o, host: o.Address, base: time.Now(), tag: uint64(1 + rand.N(tags-1)), filler: newFiller(o.Size)}
	var ends []int // by group: the first connection behind it
	r.lead = wsproto.AppendHeader(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, PayloadLen: int64(o.Size)})
	for g := range o.Groups {
		r.addGroup(o.Groups[g])
		ends = append(ends, len(r.conns))
	}
	if r.server, err = findServer(o.PID, addr); err != nil {
		return nil, err
	}
	if r.sockets, err = newTransport(addr, ends, r.base, o.portable); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *run) addGroup(g Group) {
	at := len(r.groups)
	first := len(r.rooms)
	for i := range g.Rooms {
		name := "bench"
		if len(r.rooms) > 0 || g.Rooms > 1 {
			name = fmt.Sprintf("bench-%d-%d", at, i)
		}
		rm := room{name: name, group: at, firstSender: len(r.senders), next: make([]uint64, g.Senders), skipped: make(map[key]struct{})}
		for m := range g.Members {
			if m < g.Senders {
				r.senders = append(r.senders, sender{conn: len(r.conns), room: len(r.rooms)})
			}
			c := conn{room: len(r.rooms), stalled: i == 0 && m >= g.Members-g.Stalled}
			if !c.stalled {
				rm.readers++
			}
			rm.members = append(rm.members, len(r.conns))
			r.conns = append(r.conns, c)
		}
		r.rooms = append(r.rooms, rm)
	}
	r.groups = append(r.groups, group{Group: g, first: first, last: len(r.rooms), seen: newHistogram(), all: newHistogram()})
}

func resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, ip := range ips { // a name with both is more often served over IPv4
		if ip.Unmap().Is4() {
			return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
		}
	}
	return netip.AddrPortFrom(ips[0], uint16(n)), nil
}

func (r *run) now() time.Duration { return time.Since(r.base) }

// step runs the loop until done says so. It gives up, with false, when nothing has moved for patience, or at a deadline.
func (r *run) step(done func() bool, deadline time.Duration) (bool, error) {
	for r.moved = r.now(); !done(); {
		now := r.now()
		if r.failed != nil {
			return false, r.failed
		}
		if deadline > 0 && now >= deadline || deadline == 0 && now-r.moved > r.opts.patience || r.ctx.Err() != nil {
			return false, nil
		}
		r.progress(now)
		wake := min(r.sayDue(now), now+progressInterval)
		if deadline > 0 {
			wake = min(wake, deadline)
		}
		if err := r.sockets.wait(wake, r); err != nil {
			return false, err
		}
	}
	return true, r.failed
}

// connect opens all connections, a few dozen at a time: as fast as the server answers, without overflowing its backlog.
func (r *run) connect() error {
	const window = 128
	r.phase = "connecting"
	r.marks.before = r.server.usage()
	begin := r.now()
	next := 0
	fill := func() bool {
		for ; r.connecting < window && next < len(r.conns); next++ {
			r.connecting++
			if err := r.sockets.dial(next, r.source(next)); err != nil {
				r.fail(fmt.Errorf("connection %d: %w", next+1, err))
				break
			}
		}
		return r.open == len(r.conns)
	}
	ok, err := r.step(fill, 0)
	if err != nil {
		return err
	}
	if !ok {
		if r.ctx.Err() != nil {
			return errors.New("interrupted while connecting")
		}
		return fmt.Errorf("only %d of %d connections were made; nothing moved for %v", r.open, len(r.conns), r.opts.patience)
	}
	r.marks.connectTime = r.now() - begin
	r.marks.connected = r.server.usage()
	r.watch()
	return nil
}

// source is the local address of connection i; invalid lets the system choose.
func (r *run) source(i int) netip.Addr {
	if len(r.opts.Sources) == 0 {
		return netip.Addr{}
	}
	return r.opts.Sources[i%len(r.opts.Sources)]
}

// idle holds the connections, answering pings, and says nothing.
func (r *run) idle() error {
	r.phase = "idle"
	r.begin(r.now())
	_, err := r.step(func() bool { return false }, r.now()+r.opts.Duration)
	r.finish()
	return err
}

// begin and finish bound what is measured.
func (r *run) begin(at time.Duration) {
	r.marks.start, r.marks.ownStart = r.server.usage(), ownCPU()
	r.marks.startAt, r.marks.arrivedAtStart = r.now(), r.arrived
	r.from = at
}

func (r *run) finish() {
	r.watch()
	r.marks.end, r.marks.ownEnd = r.server.usage(), ownCPU()
	r.marks.endAt, r.marks.arrivedAtEnd = r.now(), r.arrived
}

// watch looks at the server's memory.
func (r *run) watch() { r.marks.peak = max(r.marks.peak, r.server.usage().rss) }

func (r *run) fail(err error) {
	if r.failed == nil {
		r.failed = err
	}
}
