package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/doyasa/doyasa/internal/bench"
)

// benchFlags are the values of the flags as the command line has them.
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
		Short: "Load a running server and check that it keeps its promises",
		Long: `Opens connections to a running server, sends messages on some of them, and checks at every receiver that no message is lost, doubled,
damaged or out of order. Latency is counted from the time at which a message was due, so the time spent waiting for a slow server is part of
it. If the server runs on this machine, the report shows its CPU time and memory too. Progress is shown on stderr.

With default settings a server reads at most 10 messages a second from one connection (limits.messages_per_second) and lets one address make
10 rooms a minute (limits.rooms_per_minute_per_ip). For a flood, a high rate or many rooms, use more senders or set these limits to 0.

Exit status 0: the server kept every promise. 1: it broke one, or could not be measured. 2: the command line is wrong.`,
		Example: `  doyasa bench                                   # 1,000 connections, 50 messages a second, 10 seconds
  doyasa bench --connections 10000 --rate 5      # one big room
  doyasa bench --senders 4 --flood 16            # as fast as possible: each of 4 senders always has 16 messages on their way
  doyasa bench --connections 10000 --idle --duration 3m
  doyasa bench --connections 5000 --rate 20 --beside rooms=1000,members=10,rate=1
  doyasa bench --size 1024 --connections 500 --rate 200 --senders 50 --stalled 5
  doyasa bench --json | jq .server.cpu_per_delivery_us`,
	}
	var f benchFlags
	f.define(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error { return f.run(c) }
	return c
}

func (f *benchFlags) define(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&f.url, "url", "ws://127.0.0.1:3000/websocket", "WebSocket endpoint of the server")
	fs.StringVar(&f.form, "form", "raw", "form of the messages: raw or doyasa.v1")
	fs.IntVarP(&f.connections, "connections", "c", 1000, "connections, spread evenly over the rooms")
	fs.IntVar(&f.rooms, "rooms", 1, "rooms")
	fs.IntVar(&f.senders, "senders", 10, "connections of each room that send messages, in turn")
	fs.Float64Var(&f.rate, "rate", 50, "messages a second in each room")
	fs.IntVar(&f.flood, "flood", 0, "instead of a rate: the number of messages that each sender always has on their way")
	fs.IntVar(&f.size, "size", 64, fmt.Sprintf("bytes of a message, at least %d", bench.MinSize))
	fs.DurationVarP(&f.duration, "duration", "d", 10*time.Second, "time to measure")
	fs.DurationVar(&f.warmUp, "warm-up", 2*time.Second, "time under the same load before the measurement")
	fs.BoolVar(&f.idle, "idle", false, "connect, send nothing, and measure the server's memory")
	fs.IntVar(&f.stalled, "stalled", 0, "connections of the first room that stop reading")
	fs.StringArrayVar(&f.beside, "beside", nil, "more rooms at the same time, such as rooms=1000,members=10,rate=1,senders=1; they have figures of their own; may be repeated")
	fs.StringVar(&f.sources, "sources", "", "local addresses to connect from, in turn, such as 127.0.0.1-127.0.0.8; each address has about 28,000 ports")
	fs.IntVar(&f.pid, "pid", 0, "process id of the server, if it is not the process that listens on the port")
	fs.BoolVar(&f.joined, "joined", false, "accept several messages in one, with newlines between them (some servers join messages)")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
}

func (f *benchFlags) run(c *cobra.Command) error {
	o, err := f.options(c.Flags().Changed("senders"))
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
		return askForServer(err)
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
		return errors.New("the server did not keep every promise")
	}
	return nil
}

// askForServer adds advice to the error of a server that cannot be reached: it asks whether the server runs, and says what to do.
func askForServer(err error) error {
	failed, ok := errors.AsType[*bench.ConnectError](err)
	switch {
	case !ok:
		return err
	case failed.Address.Addr().IsLoopback():
		return fmt.Errorf("%w\nis the server running? Start it in another terminal: doyasa --listen %v\nIf it listens elsewhere, give its address: doyasa bench --url ws://HOST:PORT/websocket", err, failed.Address)
	}
	return fmt.Errorf("%w\nis the server running? Start doyasa on that machine, and let the firewalls between here and there pass the port", err)
}

// options makes options from the flags. The error names the flag that is wrong.
func (f *benchFlags) options(sendersGiven bool) (o bench.Options, err error) {
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" {
		return o, fmt.Errorf("--url %q: want something like ws://localhost:3000/websocket", f.url)
	}
	if u.Scheme != "ws" && u.Scheme != "http" {
		return o, fmt.Errorf("--url %q: only ws works; measure the server directly, without TLS", f.url)
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

// parseGroup reads a group in the form rooms=1000,members=10,rate=1,senders=1,flood=0.
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
			err = fmt.Errorf("%q is not one of rooms, members, senders, rate, flood", name)
		}
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

// parseSources reads a list of addresses and ranges of addresses, separated by commas.
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
				return nil, fmt.Errorf("%q is not a range of at most 65,536 addresses", part)
			}
		}
	}
	return sources, nil
}

// summary returns one line about what the run is going to do.
func (f *benchFlags) summary(o *bench.Options) string {
	s := f.url + ", " + f.form
	for _, g := range o.Groups {
		s += fmt.Sprintf("; %d × %d connections", g.Rooms, g.Members)
		switch {
		case o.Idle:
		case g.InFlight > 0:
			s += fmt.Sprintf(", %d senders with %d messages on their way", g.Senders, g.InFlight)
		default:
			s += fmt.Sprintf(", %g messages/s", g.Rate)
		}
	}
	if o.Idle {
		return s + fmt.Sprintf("; idle for %v", o.Duration)
	}
	return s + fmt.Sprintf("; messages of %d bytes; %v after a warm-up of %v", o.Size, o.Duration, o.WarmUp)
}
