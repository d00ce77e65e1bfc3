package main

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/internal/bench"
)

// A load that makes no sense is said with the flag's name, status 2, before anything is connected.
func TestBenchUsage(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"--url localhost:3000", `--url "localhost:3000": want something like ws://localhost:3000/websocket`},
		{"--url wss://localhost/websocket", `--url "wss://localhost/websocket": only ws; measure the server behind what ends TLS`},
		{"--form json", `--form "json": want raw or doyasa.v1`},
		{"--connections 10 --rooms 3", "10 connections do not spread evenly over 3 rooms"},
		{"--connections 0", "0 connections do not spread evenly over 1 rooms"},
		{"--size 31", "messages of 31 bytes: 32 is the least, for what finds loss and measures time"},
		{"--rate 0", "either a rate or a flood"},
		{"--connections 5 --senders 6", "6 senders in a room of 5 members, 0 of them stalled"},
		{"--connections 5 --stalled 5", "1 senders in a room of 5 members, 5 of them stalled"},
		{"--duration 0s", "the duration must be above zero"},
		{"--beside rooms=2,person=3", `--beside "rooms=2,person=3": "person" is none of rooms, members, senders, rate, flood`},
		{"--beside rooms=x", `--beside "rooms=x": strconv.Atoi: parsing "x": invalid syntax`},
		{"--beside rooms=2", "either a rate or a flood"},
		{"--sources 127.0.0", `--sources: ParseAddr("127.0.0"): IPv4 address too short`},
		{"--sources 127.0.0.9-127.0.0.1", `--sources: "127.0.0.9-127.0.0.1" is no range of at most 65,536 addresses`},
	} {
		status, stdout, stderr := call(nil, append([]string{"bench"}, strings.Fields(row.args)...)...)
		if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "doyasa: "+row.want+"\n") {
			t.Errorf("bench %s: status %d, stdout %q, stderr\n%swant %s", row.args, status, stdout, stderr, row.want)
		}
	}
}

func TestParseSources(t *testing.T) {
	got, err := parseSources("127.0.0.254-127.0.1.1,::1")
	want := []netip.Addr{netip.MustParseAddr("127.0.0.254"), netip.MustParseAddr("127.0.0.255"), netip.MustParseAddr("127.0.1.0"),
		netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("::1")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("parseSources = %v, %v; want %v", got, err, want)
	}
}

func TestParseGroup(t *testing.T) {
	got, err := parseGroup("rooms=1000,members=10,rate=0.5,senders=2")
	if want := (bench.Group{Rooms: 1000, Members: 10, Senders: 2, Rate: 0.5}); err != nil || got != want {
		t.Errorf("parseGroup = %+v, %v; want %+v", got, err, want)
	}
}

// Where there is no terminal, progress is a line now and then.
func TestShowProgress(t *testing.T) {
	var b bytes.Buffer
	show, end := showProgress(&b)
	for s := range 25 {
		show(bench.Progress{Phase: "measuring", Elapsed: time.Duration(s) * time.Second, Open: 7, Want: 1000, Arrived: 5000, PerSecond: 2500, Faults: int64(s / 20)})
	}
	end()
	want := "  10s  measuring  7 of 1,000 connections  2,500 deliveries/s\n  20s  measuring  7 of 1,000 connections  2,500 deliveries/s  1 FAULTS\n"
	if b.String() != want {
		t.Errorf("progress\n%swant\n%s", &b, want)
	}
}
