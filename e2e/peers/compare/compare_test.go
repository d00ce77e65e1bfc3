package main

import (
	"strings"
	"testing"
)

// Every server can be driven, keeps the room's promises at a load that is no load, and is measured; so is what it takes.
func TestEveryServer(t *testing.T) {
	dir := t.TempDir()
	if err := build(dir, ""); err != nil {
		t.Fatal(err)
	}
	for _, s := range everybody {
		t.Run(s.label, func(t *testing.T) {
			b := &bench{dir: dir, serverCPU: "0", loadCPU: "0"} // any machine has that core
			for _, load := range []string{"--rate 50", "--flood 4 --size 2000"} {
				r, err := b.run(s, strings.Fields("--connections 20 --senders 2 --duration 500ms --warm-up 100ms "+load))
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Broken) > 0 || r.Deliveries == 0 || cpuPerDelivery(r) <= 0 || cpuPerHandshake(r) <= 0 || lastReceiver(r) <= 0 || p99(r) <= 0 || r.Bytes <= 0 {
					t.Errorf("%s: %+v", load, r)
				}
			}
		})
	}
}

// What counts is the median of the ratios within the rounds, on the right side of its bound.
func TestJudge(t *testing.T) {
	withCPU := func(us float64) *report {
		r := new(report)
		r.Server.CPUPerDelivery = us
		return r
	}
	var rounds []round
	for _, pair := range [][2]float64{{10, 10}, {30, 20}, {12, 10}, {5, 10}, {22, 20}} { // 1.0, 1.5, 1.2, 0.5, 1.1
		rounds = append(rounds, round{"a": withCPU(pair[0]), "b": withCPU(pair[1])})
	}
	of := ratio(cpuPerDelivery, "a", "b")
	s := scenario{points: []want{{of: of, bound: 1.15}, {of: of, bound: 1.05}, {of: of, bound: 1.05, atMin: true}, {of: of, bound: 1.15, atMin: true}}}
	var held []bool
	for _, p := range s.judge(rounds) {
		if p.Median != 1.1 {
			t.Errorf("median %g of %v, want 1.1", p.Median, p.Rounds)
		}
		held = append(held, p.Held)
	}
	for i, want := range []bool{true, false, true, false} {
		if held[i] != want {
			t.Errorf("%+v: held %v, want %v", s.points[i], held[i], want)
		}
	}
	if got := median([]float64{4, 1}); got != 2.5 {
		t.Errorf("median of two = %g, want 2.5", got)
	}
}
