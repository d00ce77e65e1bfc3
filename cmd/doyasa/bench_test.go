package main

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/internal/bench"
)

// A command line that is wrong gets an error with the name of the flag and status 2, before anything is connected.
func TestBenchUsage(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"--url localhost:3000", `--url "localhost:3000": want something like ws://localhost:3000/websocket`},
		{"--url wss://localhost/websocket", `--url "wss://localhost/websocket": only ws works; measure the server directly, without TLS`},
		{"--form json", `--form "json": want raw or doyasa.v1`},
		{"--connections 10 --rooms 3", "10 connections do not spread evenly over 3 rooms"},
		{"--connections 0", "0 connections do not spread evenly over 1 rooms"},
		{"--size 31", "messages of 31 bytes: the shortest have 32 bytes, which the checks and the clock need"},
		{"--rate 0", "give either a rate or a flood"},
		{"--connections 5 --senders 6", "6 senders in a room of 5 members, of which 0 stop reading: at least one member must send, and senders must read"},
		{"--connections 5 --stalled 5", "1 senders in a room of 5 members, of which 5 stop reading: at least one member must send, and senders must read"},
		{"--duration 0s", "the duration must be above zero"},
		{"--beside rooms=2,person=3", `--beside "rooms=2,person=3": "person" is not one of rooms, members, senders, rate, flood`},
		{"--beside rooms=x", `--beside "rooms=x": strconv.Atoi: parsing "x": invalid syntax`},
		{"--beside rooms=2", "give either a rate or a flood"},
		{"--sources 127.0.0", `--sources: ParseAddr("127.0.0"): IPv4 address too short`},
		{"--sources 127.0.0.9-127.0.0.1", `--sources: "127.0.0.9-127.0.0.1" is not a range of at most 65,536 addresses`},
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

// Where there is no terminal, each phase begins with a line, and a long one has more.
func TestShowProgress(t *testing.T) {
	var b bytes.Buffer
	show, end := showProgress(&b)
	progress := func(phase string, at, began, length time.Duration, p bench.Progress) {
		p.Phase, p.Elapsed, p.InPhase, p.Length, p.Want = phase, at*time.Second, (at-began)*time.Second, length*time.Second, 1000
		show(p)
	}
	progress("connecting", 0, 0, 0, bench.Progress{})
	progress("connecting", 1, 0, 0, bench.Progress{Open: 500})
	for s := range time.Duration(25) {
		progress("measuring", s+2, 2, 30, bench.Progress{Open: 1000 - int(s), Arrived: 5000, PerSecond: 2500, Faults: int64(s / 20)})
	}
	progress("settling", 32, 32, 0, bench.Progress{Open: 1000, Arrived: 5000, Expected: 6000})
	end()
	want := `   0s  connecting 0 of 1,000
   2s  measuring 0 s of 30 s  1,000 connections  2,500 deliveries/s
  12s  measuring 10 s of 30 s  990 connections of 1,000  2,500 deliveries/s
  22s  measuring 20 s of 30 s  980 connections of 1,000  2,500 deliveries/s  1 FAULTS
  32s  settling 5,000 of 6,000 deliveries  1,000 connections
`
	if b.String() != want {
		t.Errorf("progress\n%swant\n%s", &b, want)
	}
}

// On a terminal one line is written over, and is gone at the end.
func TestShowOnTerminal(t *testing.T) {
	var b bytes.Buffer
	show, end := showOnTerminal(&b)
	show(bench.Progress{Phase: "connecting", Open: 1, Want: 2})
	show(bench.Progress{Phase: "connecting", Open: 2, Want: 2})
	end()
	const clear = "\r\x1b[K"
	if want := clear + "   0s  connecting 1 of 2" + clear + "   0s  connecting 2 of 2" + clear; b.String() != want {
		t.Errorf("%q, want %q", &b, want)
	}
}

// Where nobody listens, the error names the address, asks whether the server runs, and says how to start it.
func TestBenchWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	status, stdout, stderr := call(nil, "bench", "--url", "ws://"+address+"/websocket", "--connections", "3")
	want := "   0s  connecting 0 of 3\n" +
		"doyasa: cannot connect to " + address + ": connection refused\n" +
		"doyasa: is the server running? Start it in another terminal: doyasa --listen " + address + "\n" +
		"doyasa: If it listens elsewhere, give its address: doyasa bench --url ws://HOST:PORT/websocket\n"
	if status != 1 || stderr != want || !strings.HasPrefix(stdout, "ws://"+address) {
		t.Errorf("status %d, stdout %q, stderr\n%swant 1 and\n%s", status, stdout, stderr, want)
	}
	far := askForServer(&bench.ConnectError{Address: netip.MustParseAddrPort("192.0.2.1:3000"), Err: errors.New("nothing answered for 10s")})
	if want := "cannot connect to 192.0.2.1:3000: nothing answered for 10s\nis the server running? Start doyasa on that machine,"; !strings.HasPrefix(far.Error(), want) {
		t.Errorf("of another machine: %q, want %q", far, want)
	}
}
