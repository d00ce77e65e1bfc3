package server

import (
	"bytes"
	"math"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/loop"
	"github.com/doyasa/doyasa/wsproto"
)

// metrics are what /metrics shows. Whatever happens once a connection, or more rarely, is
// counted here as it happens; what happens for each message or delivery is added up by
// the hub and the loop as they go, and fetched when somebody asks.
type metrics struct {
	registry  *prometheus.Registry
	handshake prometheus.Histogram
	delivery  prometheus.Histogram
	refusals  *prometheus.CounterVec // by reason
	closes    *prometheus.CounterVec // by code
	errors    *prometheus.CounterVec // by code
	throttled *prometheus.CounterVec // by limit
	overtaken prometheus.Counter
	panics    prometheus.Counter

	lagging  atomic.Int64 // members that were behind at their last tick
	lagBytes atomic.Int64 // by so much together
	timed    atomic.Int64 // sessions whose deliveries are timed
	sessions atomic.Int64
	http     atomic.Int64 // connections that net/http has
}

func newMetrics(s *Server, version string) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: name, Help: help}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		handshake: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "doyasa_handshake_seconds",
			Help:    "From a handshake's request being read to its place in the room being asked for, and the 101 being due.",
			Buckets: prometheus.ExponentialBuckets(25e-6, 4, 9),
		}),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "doyasa_delivery_seconds",
			Help:    "From a message being taken up by its room to the socket of a member taking it, on a sample of the connections.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10),
		}),
		refusals:  prometheus.NewCounterVec(counter("doyasa_refusals_total", "Requests refused, and connections refused behind their 101, by reason."), []string{"reason"}),
		closes:    prometheus.NewCounterVec(counter("doyasa_closes_total", "Connections ended, by the close code sent; 1006 without one."), []string{"code"}),
		errors:    prometheus.NewCounterVec(counter("doyasa_errors_total", "Error frames sent to doyasa.v1 members, by code."), []string{"code"}),
		throttled: prometheus.NewCounterVec(counter("doyasa_throttled_total", "How often a limit made somebody wait or try again, by its setting."), []string{"limit"}),
		overtaken: prometheus.NewCounter(counter("doyasa_overtaken_total", "How often a log has moved past a member that read too slowly.")),
		panics:    prometheus.NewCounter(counter("doyasa_panics_total", "Connections ended by a bug of the server's.")),
	}
	m.registry.MustRegister(m.handshake, m.delivery, m.refusals, m.closes, m.errors, m.throttled, m.overtaken, m.panics,
		&collector{s, m, version}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers /metrics. Strangers may be able to ask as well, so not too many are
// answered at a time; writing the answer is not counted, or three who do not read theirs
// would keep everybody else from one.
func (m *metrics) handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := &wholeAnswer{ResponseWriter: w}
		h.ServeHTTP(whole, r)
		w.Write(whole.body.Bytes())
	})
}

// wholeAnswer keeps the body of an answer until there is all of it.
type wholeAnswer struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *wholeAnswer) Write(p []byte) (int, error) { return w.body.Write(p) }

// collector fetches what is not counted as it happens.
type collector struct {
	server  *Server
	metrics *metrics
	version string
}

// Describe implements prometheus.Collector. Saying nothing means that Collect is not asked
// before there is something to collect from.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	value := func(kind prometheus.ValueType, name, help string, v int64, labels prometheus.Labels) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), kind, float64(v))
	}
	gauge := func(name, help string, v int64) { value(prometheus.GaugeValue, name, help, v, nil) }
	total := func(name, help string, v int64) { value(prometheus.CounterValue, name, help, v, nil) }

	value(prometheus.GaugeValue, "doyasa_build_info", "1, with what is running.", 1, prometheus.Labels{"version": c.version, "go": runtime.Version()})

	var sockets loop.Stats = c.server.sockets.Stats()
	gauge("doyasa_connections", "WebSocket connections.", int64(sockets.Connections))
	gauge("doyasa_http_connections", "Connections that are no WebSocket, or not yet.", c.metrics.http.Load())
	gauge("doyasa_connections_limit", "How many there may be: limits.connections, or what the descriptor limit allows.", int64(c.server.maxConns))
	gauge("doyasa_blocked_connections", "Connections whose socket takes nothing just now.", int64(sockets.Blocked))
	total("doyasa_reads_total", "Reads from sockets.", sockets.Reads)
	total("doyasa_received_bytes_total", "Bytes read from WebSocket connections, TLS left out.", sockets.ReadBytes)
	total("doyasa_writes_total", "Writes to sockets.", sockets.Writes)
	total("doyasa_sent_bytes_total", "Bytes written to WebSocket connections, TLS left out.", sockets.WrittenBytes)

	var rooms hub.Stats = c.server.hub.Stats()
	gauge("doyasa_rooms", "Rooms, also empty ones that are not retired.", int64(rooms.Rooms))
	gauge("doyasa_members", "Members of all rooms.", int64(rooms.Members))
	total("doyasa_messages_total", "Messages published.", rooms.Messages)
	total("doyasa_repeated_total", "Retries of messages, answered instead of published.", rooms.Repeated)
	total("doyasa_deliveries_total", "Messages published, each as often as it had members to go to.", rooms.Deliveries)
	gauge("doyasa_log_bytes", "Memory of all logs.", rooms.LogBytes)
	ch <- batches(rooms)

	if c.server.history != nil {
		h := c.server.history()
		failed := map[bool]int64{true: 1}[h.Failed]
		gauge("doyasa_history_disk_bytes", "What the history takes in history.dir.", h.DiskBytes)
		gauge("doyasa_history_messages", "Messages that the history keeps.", int64(h.Messages))
		gauge("doyasa_history_bytes", "What they count against history.total_bytes.", int64(h.Bytes))
		gauge("doyasa_history_rooms", "Rooms that the history knows.", int64(h.Rooms))
		gauge("doyasa_history_queued_bytes", "Messages said and not yet stored.", int64(h.Queued))
		gauge("doyasa_history_failed", "1 when nothing can be stored any more; the log says why.", failed)
	}

	gauge("doyasa_assembling_bytes", "Memory of messages that have come in part, and of input that has to wait.", c.server.assembling.Load())
	gauge("doyasa_lagging_members", "Members with something to be written, as of their last tick.", c.metrics.lagging.Load())
	gauge("doyasa_lag_bytes", "What is to be written to them together.", c.metrics.lagBytes.Load())
}

// HistoryStats are figures of a durable history.
type HistoryStats struct {
	DiskBytes int64 // what it takes on disk
	Messages  int   // kept, of all rooms
	Bytes     int   // that they count against history.total_bytes
	Rooms     int   // that it knows
	Queued    int   // bytes said and not yet stored
	Failed    bool  // nothing can be stored any more
}

// batches is the histogram of messages published in one pass of a room. Its sum is that
// of all messages.
func batches(s hub.Stats) prometheus.Metric {
	desc := prometheus.NewDesc("doyasa_batch_messages", "Messages that a room published at once, so that they are written at once.", nil, nil)
	buckets := make(map[float64]uint64)
	var count uint64
	for i, n := range s.Batches {
		count += uint64(n)
		if i > 0 && i < len(s.Batches)-1 { // the last is without a bound
			buckets[float64(int(1)<<i-1)] = count
		}
	}
	return prometheus.MustNewConstHistogram(desc, count, float64(s.Messages), buckets)
}

// ConnState is what an http.Server must call as its ConnState, so that /metrics shows
// those who have not made their request yet as well.
func (s *Server) ConnState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.metrics.http.Add(1)
	case http.StateHijacked, http.StateClosed:
		s.metrics.http.Add(-1)
	}
}

// closed counts the end of a connection.
func (m *metrics) closed(c *closing) {
	code := "1006" // no Close frame of ours (RFC 6455 §7.1.5)
	if c != nil && c.sent {
		code = strconv.Itoa(int(c.code))
		if c.code >= 3000 { // the peer's own: they may choose among 2,000
			code = "3000 and above"
		}
		if c.code == wsproto.CloseNoStatusReceived {
			code = "none"
		}
	}
	m.closes.WithLabelValues(code).Inc()
}

// chooses tells whether a new session's deliveries are to be timed: the first few of
// those there are, and one in 64 when there are many.
func (m *metrics) chooses() bool {
	all := m.sessions.Add(1)
	if n := m.timed.Load(); n >= 8 && n*64 >= all {
		return false
	}
	m.timed.Add(1)
	return true
}

// ended undoes chooses.
func (m *metrics) ended(timed bool) {
	m.sessions.Add(-1)
	if timed {
		m.timed.Add(-1)
	}
}

// noteLag keeps the sum of what members are behind, at a tick of each.
func (s *session) noteLag(lag int64) {
	if lag == s.lag {
		return
	}
	m := s.server.metrics
	m.lagBytes.Add(lag - s.lag)
	if (lag > 0) != (s.lag > 0) {
		m.lagging.Add(map[bool]int64{true: 1, false: -1}[lag > 0])
	}
	s.lag = lag
}

// noteDelivery times what has just been written, unless it was there before the member was.
func (s *session) noteDelivery() {
	if s.stopAt != math.MaxInt64 { // not live yet
		return
	}
	if took, ok := s.member.Latency(); ok {
		s.server.metrics.delivery.Observe(took.Seconds())
	}
}

// noteHandshake counts a handshake that began at a time.
func (m *metrics) noteHandshake(began time.Time) { m.handshake.Observe(time.Since(began).Seconds()) }
