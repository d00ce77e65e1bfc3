package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is the result of a run. Latency is the time from when a message was due to when it was received.
type Report struct {
	Connections int           `json:"connections"`
	Rooms       int           `json:"rooms"`
	Seconds     float64       `json:"seconds"`          // length of the measurement
	ConnectTime float64       `json:"connect_seconds"`  // time until all handshakes were answered
	Sent        int64         `json:"sent"`             // measured messages
	Deliveries  int64         `json:"deliveries"`       // deliveries of the measured messages
	PerSecond   float64       `json:"deliveries_per_s"` // deliveries a second
	Bytes       float64       `json:"payload_bytes_per_s"`
	Groups      []GroupReport `json:"groups,omitempty"`
	Server      *ServerReport `json:"server,omitempty"` // nil if the server is on another machine
	OwnCPU      float64       `json:"generator_cpu"`    // cores that the generator used
	Faults      FaultReport   `json:"faults"`
	OrderHash   string        `json:"order_hash,omitempty"` // a hash of all messages of all rooms, in the order in which every member received them
	Stalled     int           `json:"stalled,omitempty"`
	StalledGone int           `json:"stalled_gone,omitempty"` // stalled connections that the server closed
	Interrupted bool          `json:"interrupted,omitempty"`
	Broken      []string      `json:"broken"` // promises that the server broke, in words
}

// GroupReport is the part of the report on one kind of room.
type GroupReport struct {
	Rooms        int     `json:"rooms"`
	Members      int     `json:"members"`
	Delivery     Latency `json:"delivery"`
	LastReceiver Latency `json:"last_receiver"` // from when a message was due until the last member received it
}

// ServerReport is the part of the report on the server's process. Memory is in resident bytes.
type ServerReport struct {
	PID             int     `json:"pid"`
	Name            string  `json:"name"`
	CPU             float64 `json:"cpu"` // cores used during the measurement
	CPUPerDelivery  float64 `json:"cpu_per_delivery_us"`
	CPUPerHandshake float64 `json:"cpu_per_handshake_us"`
	RSSEmpty        int64   `json:"rss_empty"` // before the first connection was made
	RSSStart        int64   `json:"rss_start"` // when the measurement began
	RSSEnd          int64   `json:"rss_end"`
	RSSPeak         int64   `json:"rss_peak"`
	PerConnection   float64 `json:"rss_per_connection"` // by how much each connection has increased the memory of the empty server at the end
}

// FaultReport counts deliveries that break a promise.
type FaultReport struct {
	Lost      int64            `json:"lost"`
	Doubled   int64            `json:"doubled"`
	Reordered int64            `json:"reordered"`
	Damaged   int64            `json:"damaged"`
	Strayed   int64            `json:"strayed"`
	Holes     int64            `json:"holes"`  // doyasa.v1: messages whose prev is not the seq of the message before
	Closed    int64            `json:"closed"` // connections that the server closed
	Foreign   int64            `json:"foreign"`
	Refused   map[string]int64 `json:"refused,omitempty"`
	Reasons   map[string]int64 `json:"reasons,omitempty"`
}

func (r *run) report() *Report {
	m := &r.marks
	seconds := (m.endAt - m.startAt).Seconds()
	rep := &Report{
		Connections: len(r.conns), Rooms: len(r.rooms), Seconds: seconds, ConnectTime: m.connectTime.Seconds(),
		Sent: r.sent, Deliveries: r.measured, OwnCPU: (m.ownEnd - m.ownStart).Seconds() / seconds,
		Stalled: r.stalled(), StalledGone: r.stalledGone(), Interrupted: r.ctx.Err() != nil, Broken: []string{},
	}
	flood := len(r.due) == 0
	deliveries, over := r.measured, r.opts.Duration
	if flood {
		deliveries, over = m.arrivedAtEnd-m.arrivedAtStart, m.endAt-m.startAt
		rep.Deliveries = deliveries
	}
	if rep.Interrupted {
		over = max(1, r.until-r.from)
	}
	if !r.opts.Idle {
		rep.PerSecond = float64(deliveries) / over.Seconds()
		rep.Bytes = rep.PerSecond * float64(r.opts.Size)
		for i := range r.groups {
			g := &r.groups[i]
			rep.Groups = append(rep.Groups, GroupReport{g.Rooms, g.Members, g.seen.summary(), g.all.summary()})
		}
		var hash uint64
		for i := range r.rooms {
			hash = hash*31 + r.rooms[i].hash
		}
		rep.OrderHash = fmt.Sprintf("%016x", hash)
	}
	if r.server != nil {
		cpu := m.end.cpu - m.start.cpu
		s := &ServerReport{
			PID: r.server.pid, Name: r.server.name, CPU: cpu.Seconds() / seconds,
			CPUPerHandshake: us(m.connected.cpu-m.before.cpu) / float64(len(r.conns)),
			RSSEmpty:        m.before.rss, RSSStart: m.start.rss, RSSEnd: m.end.rss, RSSPeak: m.peak,
			PerConnection: float64(m.end.rss-m.before.rss) / float64(len(r.conns)),
		}
		if deliveries > 0 {
			s.CPUPerDelivery = us(cpu) / float64(deliveries)
		}
		rep.Server = s
	}
	f := &r.faults
	rep.Faults = FaultReport{f.lost, f.doubled, f.reordered, f.damaged, f.strayed, f.holes, f.closed, f.foreign, f.refused, f.reasons}
	rep.Broken = append(rep.Broken, r.verdict(rep)...)
	return rep
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// verdict returns in words which promises the server broke.
func (r *run) verdict(rep *Report) (broken []string) {
	f := &r.faults
	for _, b := range []struct {
		n    int64
		what string
	}{
		{f.lost, "deliveries lost"},
		{f.doubled, "deliveries doubled"},
		{f.reordered, "deliveries out of order"},
		{f.damaged, "messages damaged"},
		{f.strayed, "deliveries in the wrong room"},
		{f.holes, "messages whose prev is not the seq before"},
		{f.closed, "connections closed by the server"},
	} {
		if b.n > 0 {
			broken = append(broken, group3(b.n)+" "+b.what)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(f.refused)) {
		broken = append(broken, fmt.Sprintf("the server answered %s times with %q", group3(f.refused[code]), code))
	}
	if len(broken) == 0 && !r.opts.Idle && rep.Deliveries == 0 {
		broken = append(broken, "no message was delivered")
	}
	if len(broken) > 0 {
		if why := f.why(); why != "" {
			broken[len(broken)-1] += why
		}
	}
	return broken
}

// why returns how many connections ended for each reason.
func (f *faults) why() string {
	var s strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(f.reasons)) {
		fmt.Fprintf(&s, "; %s: %s", group3(f.reasons[reason]), reason)
	}
	return s.String()
}

// group3 writes a number with commas.
func group3(n int64) string {
	if n < 0 {
		return "-" + group3(-n)
	}
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
