package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/doyasa/doyasa/internal/bench"
)

// benchFlags are as they stand on the command line.
type benchFlags struct {
	url         string
	form        string
	connections int
	rooms       int
	senders     int
	rate        float64
	flood       int
	size        int
	duration    time.Duration
	warmUp      time.Duration
	idle        bool
	stalled     int
	beside      []string
	sources     string
	pid         int
	joined      bool
	json        bool
}

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Load a running server and hold it to its promises",
		Long: `Opens connections to a running server, says messages on some of them, and checks at every receiver that nothing is lost, doubled,
damaged or out of order. Latency counts from when a message was due, so waiting for a slow server is not left out. If the server runs on
this machine, its CPU time and memory are shown as well.

A server with default settings reads at most 10 messages a second from one connection (limits.messages_per_second) and lets 10 rooms a
minute be made from one address (limits.rooms_per_minute_per_ip): use enough senders, or set these to 0 for a flood or many rooms.

Exit status 0: every promise was kept. 1: one was not, or the server could not be measured. 2: the command line makes no sense.`,
		Example: `  doyasa bench                                   # 1,000 connections, 50 messages a second, 10 seconds
  doyasa bench --connections 10000 --rate 5      # one big room
  doyasa bench --senders 4 --flood 16            # as fast as it goes, 16 under way for each of 4 senders
  doyasa bench --connections 10000 --idle --duration 3m
  doyasa bench --connections 5000 --rate 20 --beside rooms=1000,members=10,rate=1
  doyasa bench --size 1024 --connections 500 --rate 200 --senders 50 --stalled 5
  doyasa bench --json | jq .server.cpu_per_delivery_us`,
	}
	var f benchFlags
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.url, "url", "ws://127.0.0.1:3000/websocket", "the server's WebSocket endpoint")
	fs.StringVar(&f.form, "form", "raw", "what to speak: raw or doyasa.v1")
	fs.IntVarP(&f.connections, "connections", "c", 1000, "connections, spread over the rooms")
	fs.IntVar(&f.rooms, "rooms", 1, "rooms")
	fs.IntVar(&f.senders, "senders", 10, "connections of each room that say something, in turn")
	fs.Float64Var(&f.rate, "rate", 50, "messages a second in each room")
	fs.IntVar(&f.flood, "flood", 0, "instead of a rate: so many messages under way for each sender, always")
	fs.IntVar(&f.size, "size", 64, fmt.Sprintf("bytes of a message, at least %d", bench.MinSize))
	fs.DurationVarP(&f.duration, "duration", "d", 10*time.Second, "how long to measure")
	fs.DurationVar(&f.warmUp, "warm-up", 2*time.Second, "the same load before that, not measured")
	fs.BoolVar(&f.idle, "idle", false, "connect, say nothing, and look at the server's memory")
	fs.IntVar(&f.stalled, "stalled", 0, "connections of the first room that stop reading")
	fs.StringArrayVar(&f.beside, "beside", nil, "more rooms beside: rooms=1000,members=10,rate=1,senders=1; measured by themselves, may be repeated")
	fs.StringVar(&f.sources, "sources", "", "local addresses to connect from, in turn, such as 127.0.0.1-127.0.0.8; each has some 28,000 ports")
	fs.IntVar(&f.pid, "pid", 0, "the server's process, if it is not the one listening on the port")
	fs.BoolVar(&f.joined, "joined", false, "take several messages joined by newlines in one for as many (some servers do that)")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		o, err := f.options(fs.Changed("senders"))
		if err != nil {
			return &usageError{c, err}
		}
		var end func()
		o.Progress, end = showProgress(c.ErrOrStderr())
		ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		if !f.json {
			fmt.Fprintln(c.OutOrStdout(), f.summary(&o))
		}
		report, err := bench.Run(ctx, o)
		end()
		if err != nil {
			return err
		}
		if f.json {
			encoder := json.NewEncoder(c.OutOrStdout())
			encoder.SetIndent("", "  ")
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(report); err != nil {
				return err
			}
		} else {
			report.WriteText(c.OutOrStdout())
		}
		if len(report.Broken) > 0 {
			return errors.New("not every promise was kept")
		}
		return nil
	}
	return c
}

// options makes sense of the flags, or says what makes none.
func (f *benchFlags) options(sendersGiven bool) (o bench.Options, err error) {
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" {
		return o, fmt.Errorf("--url %q: want something like ws://localhost:3000/websocket", f.url)
	}
	if u.Scheme != "ws" && u.Scheme != "http" {
		return o, fmt.Errorf("--url %q: only ws; measure the server behind what ends TLS", f.url)
	}
	o = bench.Options{
		Address: u.Host, Path: u.EscapedPath(), V1: f.form == "doyasa.v1", Size: f.size, Idle: f.idle,
		Duration: f.duration, WarmUp: f.warmUp, PID: f.pid, Joined: f.joined,
	}
	if u.Port() == "" {
		o.Address = net.JoinHostPort(u.Hostname(), "80")
	}
	if !o.V1 && f.form != "raw" {
		return o, fmt.Errorf("--form %q: want raw or doyasa.v1", f.form)
	}
	if f.rooms < 1 || f.connections < 1 || f.connections%f.rooms != 0 {
		return o, fmt.Errorf("%d connections do not spread evenly over %d rooms", f.connections, f.rooms)
	}
	g := bench.Group{Rooms: f.rooms, Members: f.connections / f.rooms, Senders: f.senders, Rate: f.rate, InFlight: f.flood, Stalled: f.stalled}
	if f.flood > 0 {
		g.Rate = 0
	}
	if !sendersGiven {
		g.Senders = max(1, min(g.Senders, g.Members-g.Stalled))
	}
	o.Groups = []bench.Group{g}
	for _, b := range f.beside {
		g, err := parseGroup(b)
		if err != nil {
			return o, fmt.Errorf("--beside %q: %w", b, err)
		}
		o.Groups = append(o.Groups, g)
	}
	if o.Sources, err = parseSources(f.sources); err != nil {
		return o, fmt.Errorf("--sources: %w", err)
	}
	return o, o.Check()
}

// parseGroup reads rooms=1000,members=10,rate=1,senders=1,flood=0.
func parseGroup(s string) (g bench.Group, err error) {
	g = bench.Group{Rooms: 1, Members: 1, Senders: 1}
	for pair := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "rooms":
			g.Rooms, err = strconv.Atoi(value)
		case "members":
			g.Members, err = strconv.Atoi(value)
		case "senders":
			g.Senders, err = strconv.Atoi(value)
		case "rate":
			g.Rate, err = strconv.ParseFloat(value, 64)
		case "flood":
			g.InFlight, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q is none of rooms, members, senders, rate, flood", name)
		}
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

// parseSources reads addresses and ranges of them, with commas between.
func parseSources(s string) (sources []netip.Addr, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := netip.ParseAddr(first)
		if err != nil {
			return nil, err
		}
		to := from
		if isRange {
			if to, err = netip.ParseAddr(last); err != nil {
				return nil, err
			}
		}
		for a := from; ; a = a.Next() {
			if sources = append(sources, a); a == to {
				break
			}
			if len(sources) > 1<<16 || a.Compare(to) > 0 {
				return nil, fmt.Errorf("%q is no range of at most 65,536 addresses", part)
			}
		}
	}
	return sources, nil
}

// summary is what is about to be done, in a line.
func (f *benchFlags) summary(o *bench.Options) string {
	s := f.url + ", " + f.form
	for _, g := range o.Groups {
		s += fmt.Sprintf("; %d × %d connections", g.Rooms, g.Members)
		switch {
		case o.Idle:
		case g.InFlight > 0:
			s += fmt.Sprintf(", %d senders with %d messages under way", g.Senders, g.InFlight)
		default:
			s += fmt.Sprintf(", %g messages/s", g.Rate)
		}
	}
	if o.Idle {
		return s + fmt.Sprintf("; idle for %v", o.Duration)
	}
	return s + fmt.Sprintf("; %d bytes, %v after %v of warm-up", o.Size, o.Duration, o.WarmUp)
}

// showProgress shows how far a run has come: on a terminal in one line that is written over, elsewhere in a line every ten
// seconds. end leaves the terminal as if nothing had been there.
func showProgress(w io.Writer) (show func(bench.Progress), end func()) {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		const clear = "\r\x1b[K"
		return func(p bench.Progress) { fmt.Fprint(w, clear, p) }, func() { fmt.Fprint(w, clear) }
	}
	const interval = 10 * time.Second
	next := interval
	return func(p bench.Progress) {
		if p.Elapsed >= next {
			next = p.Elapsed + interval
			fmt.Fprintln(w, p)
		}
	}, func() {}
}
