package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/hub/journaltest"
	"github.com/doyasa/doyasa/internal/chat"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/journal"
	"github.com/doyasa/doyasa/wsproto"
)

var update = flag.Bool("update", false, "rewrite testdata/transcripts with what happens now")

// TestTranscripts plays each file of testdata/transcripts against a server on a fake
// clock, and compares everything that the clients got. See README.md there.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				got := perform(t, string(want))
				if *update {
					if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				} else if got != string(want) {
					t.Errorf("%s: what happened differs from the transcript (-update rewrites it):\n%s", name, difference(string(want), got))
				}
			})
		})
	}
}

// difference shows the lines from the first that differs on.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	from := max(0, i-3)
	return "want\n" + strings.Join(w[from:min(len(w), i+12)], "\n") + "\ngot\n" + strings.Join(g[from:min(len(g), i+12)], "\n")
}

// perform does what the lines of a script say, and returns them with what happened after each.
func perform(t *testing.T, script string) string {
	p := &play{t: t, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
	defer p.end()
	var out strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") { // what happened last time
			continue
		}
		out.WriteString(line)
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.step(line)
		synctest.Wait()
		p.show(&out)
	}
	return out.String()
}

// A play is one transcript being played. Its fields belong to the test's goroutine,
// except where they say otherwise.
type play struct {
	t       *testing.T
	config  config.Config
	hub     hub.Options
	buffer  int // bytes that a connection holds each way
	journal *journaltest.Async
	refuse  bool // the journal refuses everything

	dir     string           // of a durable journal; "" for none
	durable *journal.Journal // open while the server is

	server   *Server // nil until a step needs it
	listener *conntest.Listener
	http     *http.Server
	serving  chan error // http's end; its goroutine sends once, never closed

	down chan struct{} // Shutdown has ended; its goroutine closes it; nil until it is called

	clients map[string]*client
	names   map[string]string // placeholders, by what they stand for

	mu    sync.Mutex
	lines []string // guarded by mu: what happened, but not to a client
}

// newPlay begins a play whose lines the test gives one by one; the test ends it.
func newPlay(t *testing.T) (p *play, do func(line string)) {
	p = &play{t: t, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
	return p, func(line string) {
		p.step(line)
		synctest.Wait()
	}
}

// open starts the server, as cmd/doyasa does.
func (p *play) open() {
	if p.server != nil {
		return
	}
	if p.dir != "" {
		limits := hub.Limits{Messages: p.config.History.Messages, Bytes: int(p.config.History.Bytes), TotalBytes: int(p.config.History.TotalBytes)}
		var err error
		if p.durable, err = journal.Open(journal.Options{Dir: p.dir, Limits: limits}); err != nil {
			p.t.Fatal(err)
		}
		p.hub.Journal = p.durable
	}
	page := fstest.MapFS{"index.html": {Data: []byte("page")}}
	s, err := build(Options{Config: p.config, Log: zerolog.Nop(), Page: page, Journal: p.hub.Journal}, p.hub)
	if err != nil {
		p.t.Fatal(err)
	}
	p.server = s
	p.listener = conntest.NewListener(p.buffer)
	p.http = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: p.config.Limits.HandshakeTimeout}
	p.serving = make(chan error, 1)
	go func() { p.serving <- p.http.Serve(p.listener) }()
}

func (p *play) end() {
	for _, c := range p.clients {
		c.nc.Close()
		c.read()
	}
	if p.journal != nil {
		p.journal.Free()
	}
	if p.server != nil {
		if p.down == nil {
			p.shutdown()
		}
		<-p.down
		p.http.Close()
		<-p.serving
	}
	if p.journal != nil {
		p.journal.Stop()
	}
	p.closeDurable()
}

func (p *play) closeDurable() {
	if p.durable != nil {
		if err := p.durable.Stop(); err != nil {
			p.t.Error(err)
		}
		p.durable = nil
	}
}

func (p *play) shutdown() {
	p.down = make(chan struct{})
	go func() {
		defer close(p.down)
		ctx, cancel := context.WithTimeout(context.Background(), p.config.Limits.DrainTimeout)
		defer cancel()
		p.happened("shutdown: %v", p.server.Shutdown(ctx))
	}()
}

// step does what one line says.
func (p *play) step(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "config":
		for setting := range strings.FieldsSeq(rest) {
			key, value, _ := strings.Cut(setting, "=")
			p.configure(key, value)
		}
	case "wait":
		d, err := time.ParseDuration(rest)
		p.must(err, line)
		time.Sleep(d)
	case "get", "post":
		p.open()
		p.request(strings.ToUpper(verb), rest)
	case "shutdown":
		p.shutdown()
	case "journal":
		p.move(rest)
	default:
		p.act(verb, rest)
	}
}

func (p *play) must(err error, line string) {
	if err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
}

func (p *play) configure(key, value string) {
	if key == "journal" { // free, held, or held:1 for one that keeps one message
		held, keep, _ := strings.Cut(value, ":")
		n, _ := strconv.Atoi(keep)
		p.journal = journaltest.NewAsync(journaltest.Options{
			Held:     held == "held",
			Keep:     n,
			Refuse:   func(*hub.Message) error { return p.refusal() },
			FailPage: p.refusal,
		})
		p.hub.Journal = p.journal
		return
	}
	if key == "connections" || key == "rooms" || strings.HasPrefix(key, "history.") || strings.HasPrefix(key, "limits.") {
		n, err := strconv.Atoi(value)
		p.must(err, key)
		*map[string]*int{
			"connections":                &p.config.Limits.Connections,
			"rooms":                      &p.config.Rooms.Max,
			"history.messages":           &p.config.History.Messages,
			"history.join":               &p.config.History.Join,
			"limits.text_bytes":          &p.config.Limits.TextBytes,
			"limits.burst":               &p.config.Limits.Burst,
			"limits.messages_per_second": &p.config.Limits.MessagesPerSecond,
			"limits.message_fragments":   &p.config.Limits.MessageFragments,

			"limits.connections_per_ip":         &p.config.Limits.ConnectionsPerIP,
			"limits.rooms_per_minute_per_ip":    &p.config.Limits.RoomsPerMinutePerIP,
			"limits.messages_per_second_per_ip": &p.config.Limits.MessagesPerSecondPerIP,
		}[key] = n
		return
	}
	n, err := strconv.Atoi(value)
	p.must(err, key)
	*map[string]*int{
		"buffer":      &p.buffer,
		"log_bytes":   &p.hub.LogBytes,
		"chunk_bytes": &p.hub.ChunkBytes,
		"inbox_bytes": &p.hub.InboxBytes,
	}[key] = n
	if p.hub.Journal == nil && key != "buffer" {
		p.hub.Journal = hub.NewMemory(hub.MemoryOptions{Messages: p.config.History.Messages})
	}
}

func (p *play) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		return errors.New("the disk is full")
	}
	return nil
}

// move lets the journal do something: "store 1", "deliver 2", "answer 1", "free",
// "refuse", "accept".
func (p *play) move(what string) {
	verb, count, _ := strings.Cut(what, " ")
	stages := map[string]journaltest.Stage{"store": journaltest.Store, "deliver": journaltest.Deliver, "answer": journaltest.Answer}
	switch stage, ok := stages[verb]; {
	case ok:
		n, err := strconv.Atoi(count)
		p.must(err, what)
		p.mu.Lock()
		at := len(p.lines) // what the release sets off in other goroutines comes after its own line
		p.mu.Unlock()
		released := p.journal.Release(stage, n)
		p.mu.Lock()
		p.lines = slices.Insert(p.lines, at, fmt.Sprintf("%d of %d", released, n))
		p.mu.Unlock()
	case verb == "free":
		p.journal.Free()
	default:
		p.mu.Lock()
		p.refuse = verb == "refuse"
		p.mu.Unlock()
	}
}

func (p *play) happened(format string, args ...any) {
	p.mu.Lock()
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
	p.mu.Unlock()
}

// request makes a request: "/path body", then "| Header: value" for each header.
func (p *play) request(method, rest string) {
	parts := strings.Split(rest, " | ")
	path, body, _ := strings.Cut(p.fill(parts[0]), " ")
	nc, err := p.listener.Dial()
	p.must(err, path)
	defer nc.Close()
	r, err := http.NewRequest(method, "http://chat.example"+path, strings.NewReader(body))
	p.must(err, path)
	for _, h := range parts[1:] {
		key, value, _ := strings.Cut(p.fill(h), ": ")
		r.Header.Set(key, value)
	}
	go r.Write(nc)
	answer, err := http.ReadResponse(bufio.NewReader(nc), r)
	p.must(err, path)
	got, err := io.ReadAll(answer.Body)
	p.must(err, path)
	retry := ""
	if after := answer.Header.Get("Retry-After"); after != "" {
		retry = " Retry-After: " + after
	}
	p.happened("%d%s %s", answer.StatusCode, retry, strings.TrimSpace(string(got)))
}

// act lets a client do something.
func (p *play) act(name, what string) {
	verb, rest, _ := strings.Cut(what, " ")
	if verb == "connect" {
		p.open()
		p.connect(name, rest)
		return
	}
	c := p.clients[name]
	if c == nil {
		p.t.Fatalf("%s %s: there is no such client", name, what)
	}
	switch verb {
	case ">":
		c.send(p.fill(rest))
	case "stall":
		c.stall()
	case "read":
		c.read()
	case "deaf":
		c.mu.Lock()
		c.deaf = true
		c.mu.Unlock()
	case "fin":
		c.nc.CloseWrite()
	case "drop":
		c.nc.Close()
	default:
		p.t.Fatalf("%s %s: what is that?", name, what)
	}
}

// connect opens a connection: "raw /websocket?…", then "| Header: value" for each
// header, "> frames" for frames in the same segment as the request.
func (p *play) connect(name, what string) {
	parts := strings.Split(what, " | ")
	form, target, _ := strings.Cut(p.fill(parts[0]), " ")
	nc, err := p.listener.Dial()
	p.must(err, what)
	request := wsproto.ClientRequest{Host: "chat.example", Target: target, Key: "dGhlIHNhbXBsZSBub25jZQ=="}
	if form == "v1" {
		request.Subprotocols = []string{chat.V1}
	}
	head := bytes.TrimSuffix(wsproto.AppendRequest(nil, request), []byte("\r\n"))
	c := &client{name: name, nc: nc, in: wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{}), gate: make(chan struct{}, 1), ended: make(chan struct{})}
	var early []byte
	stalled := false // before it has read the response
	for _, h := range parts[1:] {
		if frames, ok := strings.CutPrefix(h, "> "); ok {
			early = c.frames(p.fill(frames))
			continue
		}
		if h == "stalled" {
			stalled = true
			continue
		}
		head = append(head, p.fill(h)+"\r\n"...)
	}
	if !stalled {
		c.gate <- struct{}{}
	}
	p.clients[name] = c
	go c.run(request)
	_, err = nc.Write(append(append(head, "\r\n"...), early...))
	p.must(err, what)
}

// show adds what has happened since the last step, each client's lines together.
func (p *play) show(out *strings.Builder) {
	p.mu.Lock()
	for _, line := range p.lines {
		fmt.Fprintf(out, "  %s\n", p.plain(line))
	}
	p.lines = nil
	p.mu.Unlock()
	for _, name := range slices.Sorted(keys(p.clients)) {
		c := p.clients[name]
		c.mu.Lock()
		for _, line := range c.lines {
			fmt.Fprintf(out, "  %s < %s\n", name, p.plain(line))
		}
		c.lines = nil
		c.mu.Unlock()
	}
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

var (
	keyed = regexp.MustCompile(`"(epoch|session|at|return_in_ms|retry_after_ms)":"?([0-9A-Za-z-]+)"?`)
	ids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`\{([^{}*]+)\*([0-9]+)\}`)
)

// plain replaces what differs from run to run with placeholders, and shortens runs of one character.
func (p *play) plain(line string) string {
	line = keyed.ReplaceAllStringFunc(line, func(s string) string {
		m := keyed.FindStringSubmatch(s)
		switch key, value := m[1], m[2]; key {
		case "at":
			ms, _ := strconv.ParseInt(value, 10, 64)
			return fmt.Sprintf(`"at":{%v}`, time.UnixMilli(ms).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
		case "return_in_ms":
			return `"return_in_ms":{slot}`
		case "epoch", "session":
			return fmt.Sprintf(`"%s":"%s"`, key, p.placeholder(key, value))
		default:
			return s
		}
	})
	line = ids.ReplaceAllStringFunc(line, func(s string) string {
		if strings.HasPrefix(s, "00000000-") { // the script's own
			return s
		}
		return p.placeholder("id", s)
	})
	return shorten(line)
}

func (p *play) placeholder(kind, value string) string {
	if name, ok := p.names[value]; ok {
		return name
	}
	n := 1
	for _, name := range p.names {
		if strings.HasPrefix(name, "{"+kind) {
			n++
		}
	}
	p.names[value] = fmt.Sprintf("{%s%d}", kind, n)
	return p.names[value]
}

// fill is the inverse of plain.
func (p *play) fill(s string) string {
	for value, name := range p.names {
		s = strings.ReplaceAll(s, name, value)
	}
	return times.ReplaceAllStringFunc(s, func(run string) string {
		m := times.FindStringSubmatch(run)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
}

func shorten(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := 1
		for n < len(s) && s[n] == s[0] {
			n++
		}
		if n > 30 {
			fmt.Fprintf(&b, "{%s*%d}", s[:1], n)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// A client notes what it gets, answers pings, and closes when the server has half-closed.
type client struct {
	name  string
	nc    *conntest.Conn
	in    *wsproto.Assembler
	gate  chan struct{} // capacity 1: holds a token while the client reads
	ended chan struct{} // run has ended; it closes it

	mu    sync.Mutex // guards what follows
	lines []string
	deaf  bool // it does not answer pings
}

func (c *client) note(format string, args ...any) {
	c.mu.Lock()
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
	c.mu.Unlock()
}

// stall stops the reading at once; read starts it again.
func (c *client) stall() {
	<-c.gate
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

func (c *client) read() {
	c.nc.SetReadDeadline(time.Time{})
	select {
	case c.gate <- struct{}{}:
	default: // it reads
	}
}

func (c *client) run(request wsproto.ClientRequest) {
	defer close(c.ended)
	defer c.nc.Close()
	var b []byte
	buf := make([]byte, 64<<10)
	opened := false
	for {
		<-c.gate
		c.gate <- struct{}{}
		n, err := c.nc.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		b = append(b, buf[:n]...)
		if !opened {
			_, n, refused := wsproto.ParseResponse(b, request.Key, request.Subprotocols...)
			var not *wsproto.HandshakeError
			if errors.As(refused, &not) {
				c.note("HTTP %s", head(b))
				return
			}
			opened, b = n > 0, b[n:]
		}
		if opened {
			b = c.take(b)
		}
		if err != nil {
			c.note("end")
			return
		}
	}
}

// head is the status of a refusal, and its Retry-After.
func head(b []byte) string {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return err.Error()
	}
	r.Body.Close()
	s := strconv.Itoa(r.StatusCode)
	if after := r.Header.Get("Retry-After"); after != "" {
		s += " Retry-After: " + after
	}
	return s
}

// take notes the events in b.
func (c *client) take(b []byte) []byte {
	for len(b) > 0 {
		var ev wsproto.Event
		var err error
		if ev, b, err = c.in.Next(b); err != nil {
			c.note("nonsense: %v", err)
			return nil
		}
		switch ev.Opcode {
		case wsproto.OpText:
			c.note("%s", ev.Payload)
		case wsproto.OpBinary:
			c.note("binary %x", ev.Payload)
		case wsproto.OpPong:
			c.note("pong %q", ev.Payload)
		case wsproto.OpClose:
			c.note("close %d %s", ev.Code, ev.Reason)
			if len(b) > 0 {
				c.note("%d bytes behind the Close frame", len(b))
			}
		case wsproto.OpPing:
			c.note("ping")
			c.mu.Lock()
			deaf := c.deaf
			c.mu.Unlock()
			if !deaf {
				c.send("pong " + string(ev.Payload))
			}
		}
	}
	return nil
}

func (c *client) send(items string) {
	c.nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.nc.Write(c.frames(items)); err != nil {
		c.note("(could not write all: %v)", err)
	}
	c.nc.SetWriteDeadline(time.Time{})
}

// frames makes the bytes of "text hi + ping x + hex 83ff": frames in one write.
func (c *client) frames(items string) []byte {
	var b []byte
	for item := range strings.SplitSeq(items, " + ") {
		verb, rest, _ := strings.Cut(item, " ")
		h := wsproto.Header{Fin: true, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}}
		payload := []byte(rest)
		switch verb {
		case "text":
			h.Opcode = wsproto.OpText
		case "begin":
			h.Opcode, h.Fin = wsproto.OpText, false
		case "finish":
			h.Opcode = wsproto.OpContinuation
		case "binary":
			h.Opcode = wsproto.OpBinary
			payload, _ = hex.DecodeString(rest)
		case "ping":
			h.Opcode = wsproto.OpPing
		case "pong":
			h.Opcode = wsproto.OpPong
		case "close":
			h.Opcode = wsproto.OpClose
			code, reason, _ := strings.Cut(rest, " ")
			n, _ := strconv.Atoi(code)
			payload = wsproto.AppendClosePayload(nil, wsproto.CloseCode(n), reason)
		case "hex":
			raw, err := hex.DecodeString(rest)
			if err != nil {
				panic(item)
			}
			b = append(b, raw...)
			continue
		default:
			panic("no such frame: " + item)
		}
		b = wsproto.AppendFrame(b, h, payload)
	}
	return b
}
