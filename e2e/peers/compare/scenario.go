package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A scenario is a load, the servers that get the load in each round, and the conditions that the figures must meet.
type scenario struct {
	name, title string
	rounds      int
	seconds     int      // length of the measurement of each run
	load        []string // arguments of doyasa bench
	runs        []spec
	points      []want
}

// A want is one condition that the median over the rounds must meet.
type want struct {
	what  string
	of    func(round) float64
	bound float64
	atMin bool // the bound is a minimum instead of a maximum
}

// point is the outcome of a want.
type point struct {
	What   string    `json:"what"`
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
	Bound  float64   `json:"bound"`
	AtMin  bool      `json:"at_least,omitempty"`
	Held   bool      `json:"held"`
}

// round has the reports of one round, by label.
type round map[string]*report

var (
	doyasa     = spec{label: "doyasa", server: "doyasa"}
	limit      = spec{label: "limit", server: "limit"}
	limitBatch = spec{label: "limit-batch", server: "limit -batch"}
	gorilla    = spec{label: "gorilla", server: "gorilla"}
	gws        = spec{label: "gws", server: "gws"}
	gobwas     = spec{label: "gobwas", server: "gobwas"}
	gobwasLoop = spec{label: "gobwas-epoll", server: "gobwas -epoll"}
	coder      = spec{label: "coder", server: "coder"}
	everybody  = []spec{doyasa, limit, limitBatch, gobwasLoop, gws, gobwas, gorilla, coder}
)

// ratio returns the ratio of a figure between two runs of a round.
func ratio(figure func(*report) float64, over, under string) func(round) float64 {
	return func(r round) float64 { return figure(r[over]) / figure(r[under]) }
}

func cpuPerDelivery(r *report) float64  { return r.Server.CPUPerDelivery }
func cpuPerHandshake(r *report) float64 { return r.Server.CPUPerHandshake }
func lastReceiver(r *report) float64    { return r.Groups[0].LastReceiver.P50 }
func p99(r *report) float64             { return r.Groups[0].Delivery.P99 }
func bytesPerSecond(r *report) float64  { return r.Bytes }

var scenarios = []scenario{
	{
		name: "rate", title: "1,000 clients, 50 messages a second", rounds: 9, seconds: 6,
		load: []string{"--connections", "1000", "--senders", "10", "--rate", "50"},
		runs: []spec{doyasa, limit},
		points: []want{
			{what: "CPU per delivery, × limit", of: ratio(cpuPerDelivery, "doyasa", "limit"), bound: 1.15},
		},
	},
	{
		name: "flood", title: "1,000 clients, 4 senders with 16 messages under way", rounds: 9, seconds: 3,
		load: []string{"--connections", "1000", "--senders", "4", "--flood", "16"},
		runs: []spec{doyasa, limitBatch, gws, gobwas, gobwasLoop},
		points: []want{
			{what: "CPU per delivery, × limit-batch", of: ratio(cpuPerDelivery, "doyasa", "limit-batch"), bound: 1.25},
			{what: "CPU per delivery of gws, × doyasa", of: ratio(cpuPerDelivery, "gws", "doyasa"), bound: 20, atMin: true},
			{what: "CPU per delivery of gobwas, × doyasa", of: ratio(cpuPerDelivery, "gobwas", "doyasa"), bound: 20, atMin: true},
			{what: "CPU per delivery of gobwas-epoll, × doyasa", of: ratio(cpuPerDelivery, "gobwas-epoll", "doyasa"), bound: 20, atMin: true},
		},
	},
	{
		name: "big", title: "10,000 clients, 5 messages a second", rounds: 9, seconds: 6,
		load: []string{"--connections", "10000", "--senders", "10", "--rate", "5"},
		runs: []spec{doyasa, limit},
		points: []want{
			{what: "CPU per delivery, × limit", of: ratio(cpuPerDelivery, "doyasa", "limit"), bound: 1.15},
			{what: "median to the last receiver, × limit", of: ratio(lastReceiver, "doyasa", "limit"), bound: 1.15},
		},
	},
	{
		name: "idle", title: "10,000 idle connections, three minutes after the handshakes", rounds: 1, seconds: 180,
		load: []string{"--connections", "10000", "--idle"},
		runs: []spec{doyasa},
		points: []want{
			{what: "resident bytes per connection", of: func(r round) float64 { return r["doyasa"].Server.PerConnection }, bound: 1.2 * 1024},
		},
	},
	{
		name: "handshake", title: "handshakes of 10,000 clients", rounds: 9, seconds: 1,
		load: []string{"--connections", "10000", "--idle"},
		runs: []spec{doyasa, limit},
		points: []want{
			{what: "CPU per handshake, × limit", of: ratio(cpuPerHandshake, "doyasa", "limit"), bound: 2.2},
			{what: "most resident memory meanwhile above the empty server, MiB", of: func(r round) float64 {
				return float64(r["doyasa"].Server.RSSHighest-r["doyasa"].Server.RSSEmpty) / (1 << 20)
			}, bound: 96},
			{what: "resident memory a second after them above the empty server, MiB", of: func(r round) float64 {
				return float64(r["doyasa"].Server.RSSStart-r["doyasa"].Server.RSSEmpty) / (1 << 20)
			}, bound: 96},
		},
	},
	{
		name: "large", title: "64 KiB messages to 100 clients", rounds: 9, seconds: 5,
		load: []string{"--connections", "100", "--senders", "2", "--flood", "2", "--size", "65536"},
		runs: []spec{doyasa, limit},
		points: []want{
			{what: "bytes per second, × limit", of: ratio(bytesPerSecond, "doyasa", "limit"), bound: 0.9, atMin: true},
		},
	},
	{
		name: "stalled", title: "1 KiB at 200 a second to 500 clients, of which 5 stop reading", rounds: 9, seconds: 15,
		load: []string{"--connections", "500", "--senders", "20", "--rate", "200", "--size", "1024"},
		runs: []spec{
			{label: "with stalled", server: "doyasa", args: []string{"--stalled", "5"}},
			{label: "without", server: "doyasa"},
		},
		points: []want{
			{what: "99th percentile of the healthy clients, × without stalled clients", of: ratio(p99, "with stalled", "without"), bound: 1.5},
			{what: "stalled connections that were closed", of: func(r round) float64 { return float64(r["with stalled"].StalledGone) }, bound: 5, atMin: true},
			{what: "growth of memory during the measurement, MiB, minus that without stalled clients", of: func(r round) float64 {
				growth := func(r *report) int64 { return r.Server.RSSPeak - r.Server.RSSStart }
				return float64(growth(r["with stalled"])-growth(r["without"])) / (1 << 20)
			}, bound: 4},
		},
	},
	{
		name: "rooms", title: "1,000 rooms of 10 at one message a second each, beside one of 5,000 at 20", rounds: 9, seconds: 10,
		load: []string{"--connections", "5000", "--senders", "10", "--rate", "20", "--beside", "rooms=1000,members=10,rate=1"},
		runs: []spec{doyasa},
		points: []want{
			{what: "99th percentile in the small rooms, × median to the last receiver of the big one", of: func(r round) float64 {
				g := r["doyasa"].Groups
				return g[1].Delivery.P99 / g[0].LastReceiver.P50
			}, bound: 0.5},
		},
	},
	{
		name: "lanes", title: "two lanes and one, 1,000 clients, 50 messages a second", rounds: 9, seconds: 6,
		load: []string{"--connections", "1000", "--senders", "10", "--rate", "50"},
		runs: []spec{
			{label: "two lanes", server: "doyasa", cpu: "0,1", procs: 2},
			{label: "one lane", server: "doyasa", cpu: "0,1", procs: 1},
		},
		points: []want{
			{what: "CPU per delivery with two lanes, × one", of: ratio(cpuPerDelivery, "two lanes", "one lane"), bound: 1.15},
		},
	},
	others(),
	sweep("rates", "latency against rate: 1,000 clients", "--rate", []int{10, 25, 50, 100, 150, 250}, func(int) []string {
		return []string{"--connections", "1000", "--senders", "10"}
	}),
	sweep("sizes", "cost against room size: 50,000 deliveries a second", "--connections", []int{10, 50, 200, 1000, 3000, 10000}, func(n int) []string {
		return []string{"--senders", strconv.Itoa(min(n, 50)), "--rate", strconv.Itoa(50000 / n)}
	}),
}

// sweep measures all servers at several values of one flag, for the plots. It has no conditions.
func sweep(name, title, flag string, values []int, more func(int) []string) scenario {
	s := scenario{name: name, title: title, rounds: 1, seconds: 2}
	for _, v := range values {
		for _, r := range everybody {
			r.label += "@" + strconv.Itoa(v)
			r.args = append([]string{flag, strconv.Itoa(v)}, more(v)...)
			s.runs = append(s.runs, r)
		}
	}
	return s
}

// others measures all servers in the loads that have no sweep: a flood, and idle connections.
func others() scenario {
	s := scenario{name: "others", title: "everybody in a flood to 1,000 clients, and with 10,000 idle ones", rounds: 1, seconds: 3}
	for _, r := range everybody {
		flood, idle := r, r
		flood.label += "@flood"
		flood.args = []string{"--connections", "1000", "--senders", "4", "--flood", "16"}
		idle.label += "@idle"
		idle.args = []string{"--connections", "10000", "--idle"}
		s.runs = append(s.runs, flood, idle)
	}
	return s
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}

// measure runs all rounds and judges the figures.
func (s *scenario) measure(b *bench) (result, error) {
	fmt.Printf("\n%s: %s\n", s.name, s.title)
	load := append(slices.Clone(s.load), "--duration", strconv.Itoa(s.seconds)+"s", "--warm-up", "1s")
	var rounds []round
	for n := range s.rounds {
		r := make(round)
		for i := range s.runs {
			run := s.runs[(i+n)%len(s.runs)] // each round begins with another run
			rep, err := b.run(run, load)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", run.label, err)
			}
			if len(rep.Broken) > 0 && run.server == "doyasa" {
				return result{}, fmt.Errorf("%s broke a promise: %s", run.label, strings.Join(rep.Broken, "; "))
			}
			r[run.label] = rep
			fmt.Printf("  round %d  %-14s %s\n", n+1, run.label, rep)
		}
		rounds = append(rounds, r)
	}
	res := result{Title: s.title, When: today(), Commit: commit(), Rounds: s.rounds, Load: strings.Join(load, " "), Points: []point{},
		Medians: make(map[string]figures)}
	for _, run := range s.runs {
		res.Medians[run.label] = mediansOf(rounds, run.label)
	}
	for _, p := range s.judge(rounds) {
		fmt.Println("  " + p.String())
		res.Points = append(res.Points, p)
	}
	return res, nil
}

// judge returns the outcome of each condition.
func (s *scenario) judge(rounds []round) (points []point) {
	for _, w := range s.points {
		p := point{What: w.what, Bound: w.bound, AtMin: w.atMin}
		for _, r := range rounds {
			p.Rounds = append(p.Rounds, w.of(r))
		}
		p.Median = median(p.Rounds)
		p.Held = p.Median <= w.bound
		if w.atMin {
			p.Held = p.Median >= w.bound
		}
		points = append(points, p)
	}
	return points
}

func (p point) String() string {
	verdict, sign := "held", "≤"
	if !p.Held {
		verdict = "SHORT"
	}
	if p.AtMin {
		sign = "≥"
	}
	return fmt.Sprintf("%-5s  %.2f  want %s %.2f  %s", verdict, p.Median, sign, p.Bound, p.What)
}
