package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/wsproto"
)

// scrape returns the values of /metrics by series.
func (e *edge) scrape() map[string]float64 {
	e.t.Helper()
	r, err := http.Get(e.http.URL + "/metrics")
	if err != nil {
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		e.t.Fatalf("/metrics: %s, %v\n%s", r.Status, err, body)
	}
	series := make(map[string]float64)
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			e.t.Fatalf("%q: %v", line, err)
		}
		series[line[:at]] = v
	}
	return series
}

// eventually scrapes until a series has a value.
func (e *edge) eventually(series string, want float64) {
	e.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for got := -1.0; got != want; {
		if time.Now().After(deadline) {
			e.t.Fatalf("%s = %v for a minute, want %v", series, got, want)
		}
		time.Sleep(5 * time.Millisecond)
		got = e.scrape()[series]
	}
}

// /metrics tells exactly what has happened.
func TestMetrics(t *testing.T) {
	e := newEdge(t, func(c *config.Config) { c.Limits.MessagesPerSecond = 0 })
	const members, messages = 3, 40
	frame := wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}, []byte("どやさ"))
	response := wsproto.AppendResponse(nil, "dGhlIHNhbXBsZSBub25jZQ==", "")
	echo := wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText}, []byte("どやさ"))
	var readers []io.Reader
	var conns []io.WriteCloser
	for i := range members {
		nc, b := e.upgrade(handshake)
		defer nc.Close()
		readers, conns = append(readers, b), append(conns, nc)
		e.eventually("doyasa_members", float64(i+1))
	}
	for range messages {
		conns[0].Write(frame)
	}
	for _, r := range readers {
		if _, err := io.ReadFull(r, make([]byte, messages*len(echo))); err != nil {
			t.Fatal(err)
		}
	}
	e.eventually("doyasa_sent_bytes_total", float64(members*(len(response)+messages*len(echo))))
	got := e.scrape()
	for series, want := range map[string]float64{
		"doyasa_connections":                      members,
		"doyasa_rooms":                            1,
		"doyasa_messages_total":                   messages,
		"doyasa_deliveries_total":                 members * messages,
		"doyasa_received_bytes_total":             float64(messages * len(frame)),
		"doyasa_batch_messages_sum":               messages,
		`doyasa_batch_messages_bucket{le="1023"}`: got["doyasa_batch_messages_count"],
		"doyasa_handshake_seconds_count":          members,
		"doyasa_blocked_connections":              0,
		"doyasa_overtaken_total":                  0,
		"doyasa_panics_total":                     0,
	} {
		if v, there := got[series]; !there || v != want {
			t.Errorf("%s = %v, there %v, want %v", series, v, there, want)
		}
	}
	if n := got["doyasa_delivery_seconds_count"]; n < 1 || n > members*messages || n != got[`doyasa_delivery_seconds_bucket{le="+Inf"}`] {
		t.Errorf("doyasa_delivery_seconds_count = %v, want from 1 to %d", n, members*messages)
	}
	if got["go_goroutines"] == 0 || got["process_open_fds"] == 0 {
		t.Error("neither goroutines nor descriptors")
	}

	conns[0].Write(wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpClose, Masked: true}, wsproto.AppendClosePayload(nil, 4321, "")))
	conns[1].Write([]byte("GET / HTTP/1.1\r\n"))
	conns[2].Close()
	e.exchange(with(t, "Origin: https://evil.example"))
	bad, b := e.upgrade(vary(t, "/websocket", "/websocket?room=a%20b"))
	io.Copy(io.Discard, b)
	bad.Close()
	for series, want := range map[string]float64{
		`doyasa_closes_total{code="3000 and above"}`: 1,
		`doyasa_closes_total{code="1002"}`:           1,
		`doyasa_closes_total{code="1006"}`:           1,
		`doyasa_closes_total{code="1008"}`:           1,
		`doyasa_refusals_total{reason="origin"}`:     1,
		`doyasa_refusals_total{reason="bad_room"}`:   1,
		"doyasa_connections":                         0,
		"doyasa_members":                             0,
		"doyasa_lagging_members":                     0,
	} {
		e.eventually(series, want)
	}
}

// A connection without a request is counted until it becomes a WebSocket or ends.
func TestMetricsOfHalfOpenHandshakes(t *testing.T) {
	e := newEdge(t, nil)
	e.eventually("doyasa_http_connections", 1) // the connection of the scrapes
	half, whole := e.dial(), e.dial()
	defer half.Close()
	defer whole.Close()
	e.eventually("doyasa_http_connections", 3)
	io.WriteString(whole, handshake)
	e.eventually("doyasa_http_connections", 2)
	half.Close()
	e.eventually("doyasa_http_connections", 1)
	e.eventually("doyasa_connections", 1)
}

// Every series has a help text, and docs/operations.md a row.
func TestMetricsAreDocumented(t *testing.T) {
	e := newEdge(t, nil)
	r, err := http.Get(e.http.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	names := regexp.MustCompile(`(?m)^# HELP (doyasa_\w+) \S`).FindAllSubmatch(body, -1)
	if len(names) < 15 {
		t.Fatalf("%d series of ours in\n%s", len(names), body)
	}
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, m := range regexp.MustCompile("`(doyasa_\\w+)(\\{\\w+\\})?`").FindAllSubmatch(document, -1) {
		listed[string(m[1])] = true
	}
	for _, m := range names {
		if !listed[string(m[1])] {
			t.Errorf("docs/operations.md does not have %s", m[1])
		}
		delete(listed, string(m[1]))
	}
	for _, counted := range []string{"doyasa_refusals_total", "doyasa_closes_total", "doyasa_errors_total", "doyasa_throttled_total"} {
		delete(listed, counted) // shown once something has been counted
	}
	for name := range listed {
		t.Errorf("docs/operations.md has %s, /metrics does not", name)
	}
}

// A client that stops reading is counted as blocked and lagging, until it reads again or is closed.
func TestMetricsOfASlowMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &play{t: t, config: config.Default(), clients: make(map[string]*client), names: make(map[string]string)}
		defer p.end()
		do := func(lines ...string) {
			for _, line := range lines {
				p.step(line)
				synctest.Wait()
			}
		}
		check := func(when string, blocked int, lagging, bytes int64) {
			t.Helper()
			if got := p.server.sessions.Stats(); got.Sockets.Blocked != blocked || got.Lagging != lagging || got.LagBytes != bytes {
				t.Errorf("%s: %d blocked, %d lagging by %d bytes, want %d, %d, %d", when, got.Sockets.Blocked, got.Lagging, got.LagBytes, blocked, lagging, bytes)
			}
		}
		do("config buffer=1004", "B connect raw /websocket?name=B", "A connect raw /websocket?name=A", "A stall", "B > text {x*1500}", "wait 600ms")
		check("stalled", 1, 1, 500)
		do("A read", "wait 600ms")
		check("reading", 0, 0, 0)
		do("A stall", "B > text {x*1500}", "wait 600ms")
		check("stalled again", 1, 1, 500)
		do("wait 6s")
		check("closed as slow", 0, 0, 0)
	})
}

// gathered returns the values of a series by its label, or the sum of a histogram.
func gathered(t *testing.T, m *metrics, name string) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, series := range family.GetMetric() {
			label := ""
			for _, l := range series.GetLabel() {
				label += l.GetValue()
			}
			values[label] = series.GetCounter().GetValue() + series.GetHistogram().GetSampleSum()
		}
	}
	return values
}

// A sender that has to wait is counted once, however many messages it is sent meanwhile.
func TestMetricsOfAThrottledSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &play{t: t, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
		defer p.end()
		for _, line := range []string{
			"config limits.messages_per_second=1 limits.burst=3",
			"A connect raw /websocket?name=A", "B connect raw /websocket?name=B",
			"A > text 1 + text 2 + text 3 + text 4",
			"B > text 5", "B > text 6", "B > text 7",
			"wait 1s",
			"C connect v1 /websocket?name=C",
			"C > text {\"type\":\"say\",\"text\":\"8\"} + text {\"type\":\"say\",\"text\":\"9\"} + text {\"type\":\"name\",\"name\":\"D\"} + text {\"type\":\"say\",\"text\":\"10\"}",
		} {
			p.step(line)
			synctest.Wait()
		}
		if got := gathered(t, p.server.metrics, "doyasa_throttled_total")["messages_per_second"]; got != 2 {
			t.Errorf("doyasa_throttled_total = %v, want 2: a raw sender that waited and one that was told", got)
		}
	})
}

// History that a newcomer is sent is old and not timed; what is said from then on is.
func TestMetricsOfDeliveryLeaveHistoryOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &play{t: t, config: config.Default(), buffer: 1 << 20, clients: make(map[string]*client), names: make(map[string]string)}
		defer p.end()
		do := func(lines ...string) {
			for _, line := range lines {
				p.step(line)
				synctest.Wait()
			}
		}
		check := func(want float64) {
			t.Helper()
			if got := gathered(t, p.server.metrics, "doyasa_delivery_seconds")[""]; got != want {
				t.Errorf("all deliveries together took %v s, want %v", got, want)
			}
		}
		do("config buffer=1004", "A connect v1 /websocket?name=A", "A > text {\"type\":\"say\",\"text\":\"1\"}", "wait 1m", "B connect v1 /websocket?name=B")
		check(0)
		do("B stall", "A > text {\"type\":\"say\",\"text\":\"{x*1500}\"}", "wait 2s", "B read")
		check(2)
	})
}

// unread is a response that nobody reads.
type unread struct {
	*httptest.ResponseRecorder
	begun chan struct{} // Write has been called; it sends, never closed
	read  chan struct{} // Write may return; the test closes it
}

func (u unread) Write(p []byte) (int, error) {
	select {
	case u.begun <- struct{}{}:
		<-u.read
	case <-u.read:
	}
	return len(p), nil
}

// Clients that ask for the metrics and do not read them keep nobody else from the metrics.
func TestMetricsUnread(t *testing.T) {
	e := newEdge(t, nil)
	h := e.s.metrics.handler()
	var answers sync.WaitGroup
	defer answers.Wait()
	begun, read := make(chan struct{}), make(chan struct{})
	defer close(read)
	for range 3 {
		answers.Go(func() {
			h.ServeHTTP(unread{httptest.NewRecorder(), begun, read}, httptest.NewRequest("GET", "/metrics", nil))
		})
		<-begun
	}
	if w := ask(h, "GET", "/metrics"); w.Code != 200 || !strings.Contains(w.Body.String(), "\ndoyasa_connections 0\n") {
		t.Errorf("%d %.100q, want 200 and the metrics", w.Code, w.Body)
	}
}
