// Package bench is a load generator for rooms. It opens connections to a server, sends messages on some of them, and checks at every
// receiver that the room keeps its promises: no message is lost, doubled or damaged, and all receivers see one order.
//
// It is one event loop on one goroutine, so that it costs less than the server it measures. Latency is counted from the time at which a
// message was due, not from the time at which it could be sent. Otherwise a server could hide its delays by stalling its senders
// (coordinated omission).
//
// It must not know how a room works inside: it sees what a client sees, and what the operating system tells about the server's process.
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

// Run connects, puts the load on the server, and checks what comes back. When ctx ends, the measurement ends early, and the report covers
// the time until then. An error means that nothing could be measured, for example because the server refused a handshake. Broken promises
// are not errors; they are in the report.
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
	target  netip.AddrPort
	base    time.Time
	tag     uint64 // marks each message of this run; messages with another tag are not checked
	sockets transport
	conns   []conn
	rooms   []room
	groups  []group
	senders []sender
	due     schedule // open loop: when each room sends its next message
	filler  []byte   // what follows the head in each payload
	frame   []byte   // scratch: a payload being sent
	dirty   []int    // connections with something new to send

	assemblers []*wsproto.Assembler // Assemblers that hold no part of a message, free for any connection

	phase       string
	phaseAt     time.Duration // when the phase began
	phaseLength time.Duration // how long the phase lasts; 0 when that is not known
	shown       shown

	connecting int  // handshakes under way
	reached    bool // the server has accepted a connection
	open       int
	failed     error // the error that ends the run
	synced     int   // members that have received a probe

	from, until time.Duration // messages that are due at or after from, and before until, are measured; until is 0 while it is not known
	sending     bool          // senders may send new messages
	sent        int64         // measured messages that were sent
	expected    int64         // deliveries owed for all messages sent so far
	arrived     int64         // deliveries of all messages
	measured    int64         // deliveries of measured messages
	moved       time.Duration // when the run last made progress

	server *process // nil when the server is on another machine
	marks  marks
	faults faults
}

// marks are the readings of the server's process and of our own, taken when a part of the run begins or ends.
type marks struct {
	before, connected, start, end usage
	peak                          int64 // the most resident bytes of the server in any reading
	startAt, endAt                time.Duration
	connectTime                   time.Duration
	arrivedAtStart, arrivedAtEnd  int64
	ownStart, ownEnd              time.Duration
}

// group is one kind of room, with figures of its own.
type group struct {
	Group
	first, last int // the rooms from number first to before last
	seen        *histogram
	all         *histogram
}

func newRun(ctx context.Context, o Options) (*run, error) {
	addr, err := resolve(ctx, o.Address)
	if err != nil {
		return nil, err
	}
	r := &run{ctx: ctx, opts: o, host: o.Address, target: addr, base: time.Now(), tag: uint64(1 + rand.N(tags-1)), filler: newFiller(o.Size)}
	var ends []int // ends[g] is the number of the last connection of group g, plus one
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
	for _, ip := range ips { // prefer IPv4: a server that listens on one family only usually has that one
		if ip.Unmap().Is4() {
			return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
		}
	}
	return netip.AddrPortFrom(ips[0], uint16(n)), nil
}

func (r *run) now() time.Duration { return time.Since(r.base) }

// step runs the loop until done returns true. It returns false at the deadline. Without a deadline, it returns false when there has been no
// progress for the time patience.
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

// connect opens all connections, at most 128 at the same time, so that the backlog of the server does not overflow.
func (r *run) connect() error {
	const window = 128
	r.enter(phaseConnecting, 0)
	r.marks.before = r.server.usage()
	begin := r.now()
	next := 0
	fill := func() bool {
		for ; r.connecting < window && next < len(r.conns); next++ {
			r.connecting++
			if err := r.sockets.dial(next, r.source(next)); err != nil {
				r.fail(r.connectFailed(next, err))
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
		return r.notConnected()
	}
	r.marks.connectTime = r.now() - begin
	r.marks.connected = r.server.usage()
	r.watch()
	return nil
}

// notConnected returns the reason why not all connections were made.
func (r *run) notConnected() error {
	switch {
	case r.ctx.Err() != nil:
		return errors.New("interrupted while connecting")
	case !r.reached:
		return &ConnectError{r.target, fmt.Errorf("nothing answered for %v", r.opts.patience)}
	case r.open == 0:
		return fmt.Errorf("%v accepts connections, but answered none of %d WebSocket handshakes for %v", r.target, r.connecting, r.opts.patience)
	}
	return fmt.Errorf("the server made %d of %d connections, then answered no other for %v", r.open, len(r.conns), r.opts.patience)
}

// source returns the local address of connection i. The zero address lets the system choose.
func (r *run) source(i int) netip.Addr {
	if len(r.opts.Sources) == 0 {
		return netip.Addr{}
	}
	return r.opts.Sources[i%len(r.opts.Sources)]
}

// idle holds the connections and answers pings, but sends no messages.
func (r *run) idle() error {
	r.enter(phaseIdle, r.opts.Duration)
	r.begin(r.now())
	_, err := r.step(func() bool { return false }, r.now()+r.opts.Duration)
	r.finish()
	return err
}

// begin and finish take the readings at the beginning and the end of the measurement.
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

// watch updates the peak of the server's memory.
func (r *run) watch() { r.marks.peak = max(r.marks.peak, r.server.usage().rss) }

func (r *run) fail(err error) {
	if r.failed == nil {
		r.failed = err
	}
}
