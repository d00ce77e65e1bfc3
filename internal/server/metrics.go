package server

import (
	"bytes"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/chat"
)

// metrics has the figures of /metrics. Events that are at most as frequent as connections are counted here
// when they happen. The hub and the loop count what happens for each message or delivery, and their figures
// are fetched for each answer.
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

	http atomic.Int64 // connections that net/http holds
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
		refusals:  prometheus.NewCounterVec(counter("doyasa_refusals_total", "Requests refused, and connections closed right after their handshake, by reason."), []string{"reason"}),
		closes:    prometheus.NewCounterVec(counter("doyasa_closes_total", "Connections ended, by the close code sent; 1006 without one."), []string{"code"}),
		errors:    prometheus.NewCounterVec(counter("doyasa_errors_total", "Error frames sent to doyasa.v1 members, by code."), []string{"code"}),
		throttled: prometheus.NewCounterVec(counter("doyasa_throttled_total", "How often a limit made a client wait or try again, by its setting."), []string{"limit"}),
		overtaken: prometheus.NewCounter(counter("doyasa_overtaken_total", "How often a slow reader lost its place because old messages were dropped.")),
		panics:    prometheus.NewCounter(counter("doyasa_panics_total", "Connections ended by a bug in the server.")),
	}
	m.registry.MustRegister(m.handshake, m.delivery, m.refusals, m.closes, m.errors, m.throttled, m.overtaken, m.panics,
		&collector{s, m, version}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// counters returns the functions by which the sessions report what happens to them.
func (m *metrics) counters() chat.Counters {
	by := func(v *prometheus.CounterVec) func(string) {
		return func(label string) { v.WithLabelValues(label).Inc() }
	}
	return chat.Counters{
		Opened:    func(took time.Duration) { m.handshake.Observe(took.Seconds()) },
		Delivered: func(took time.Duration) { m.delivery.Observe(took.Seconds()) },
		Refused:   by(m.refusals),
		Failed:    by(m.errors),
		Throttled: by(m.throttled),
		Overtaken: m.overtaken.Inc,
		Panicked:  m.panics.Inc,
		Closed:    by(m.closes),
	}
}

// handler answers /metrics. Strangers may be able to ask as well, so only a few answers are made at a time.
// The time for writing an answer does not count. Otherwise three clients that do not read their answers would
// block all other clients.
func (m *metrics) handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 3})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := &wholeAnswer{ResponseWriter: w}
		h.ServeHTTP(whole, r)
		w.Write(whole.body.Bytes())
	})
}

// wholeAnswer keeps the body of an answer until it is complete.
type wholeAnswer struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *wholeAnswer) Write(p []byte) (int, error) { return w.body.Write(p) }

// A collector fetches the figures that the hub, the loop and others count by themselves.
type collector struct {
	server  *Server
	metrics *metrics
	version string
}

// Describe implements prometheus.Collector. It describes nothing. Otherwise Collect would be called during
// the registration, when the hub and the loop may not exist yet.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	value := func(kind prometheus.ValueType, name, help string, v int64, labels prometheus.Labels) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), kind, float64(v))
	}
	gauge := func(name, help string, v int64) { value(prometheus.GaugeValue, name, help, v, nil) }
	total := func(name, help string, v int64) { value(prometheus.CounterValue, name, help, v, nil) }

	value(prometheus.GaugeValue, "doyasa_build_info", "1, with what is running.", 1, prometheus.Labels{"version": c.version, "go": runtime.Version()})

	sessions := c.server.sessions.Stats()
	sockets := sessions.Sockets
	gauge("doyasa_connections", "WebSocket connections.", int64(sockets.Connections))
	gauge("doyasa_http_connections", "Open HTTP connections, before a handshake or without one.", c.metrics.http.Load())
	gauge("doyasa_connections_limit", "How many there may be: limits.connections, or what the descriptor limit allows.", int64(c.server.connections.Max()))
	gauge("doyasa_blocked_connections", "Connections whose socket takes nothing just now.", int64(sockets.Blocked))
	total("doyasa_reads_total", "Reads from sockets.", sockets.Reads)
	total("doyasa_received_bytes_total", "Bytes read from WebSocket connections, TLS left out.", sockets.ReadBytes)
	total("doyasa_writes_total", "Writes to sockets.", sockets.Writes)
	total("doyasa_sent_bytes_total", "Bytes written to WebSocket connections, TLS left out.", sockets.WrittenBytes)

	rooms := c.server.hub.Stats()
	gauge("doyasa_rooms", "Rooms, including empty ones that are not retired.", int64(rooms.Rooms))
	gauge("doyasa_members", "Members of all rooms.", int64(rooms.Members))
	total("doyasa_messages_total", "Messages published.", rooms.Messages)
	total("doyasa_repeated_total", "Retries of messages, answered instead of published.", rooms.Repeated)
	total("doyasa_deliveries_total", "Messages published, each counted once for each member that it goes to.", rooms.Deliveries)
	gauge("doyasa_log_bytes", "Memory of all logs.", rooms.LogBytes)
	gauge("doyasa_remembered_ids", "Ids by which a retry of a message is recognised.", int64(rooms.Remembered))
	total("doyasa_forgotten_ids_total", "Ids forgotten early, because all rooms together had more than 350,000.", rooms.ForgottenEarly)
	ch <- batches(rooms)

	if c.server.history != nil {
		h := c.server.history()
		failed := map[bool]int64{true: 1}[h.Failed]
		gauge("doyasa_history_disk_bytes", "Disk space that the history takes in history.dir.", h.DiskBytes)
		gauge("doyasa_history_messages", "Messages that the history keeps.", int64(h.Messages))
		gauge("doyasa_history_bytes", "Bytes that the history counts against history.total_bytes.", int64(h.Bytes))
		gauge("doyasa_history_rooms", "Rooms that the history knows.", int64(h.Rooms))
		gauge("doyasa_history_queued_bytes", "Messages said and not yet stored.", int64(h.Queued))
		gauge("doyasa_history_failed", "1 when messages can no longer be stored; the log says why.", failed)
	}

	gauge("doyasa_assembling_bytes", "Memory of incomplete messages, and of input that has to wait.", c.server.input.Total())
	gauge("doyasa_lagging_members", "Members with something to be written, as of their last tick.", sessions.Lagging)
	gauge("doyasa_lag_bytes", "Bytes to be written to them together.", sessions.LagBytes)
}

// HistoryStats are the figures of a durable history.
type HistoryStats struct {
	DiskBytes int64 // bytes on disk
	Messages  int   // messages kept in all rooms
	Bytes     int   // how much these messages count against history.total_bytes
	Rooms     int   // rooms that have a history
	Queued    int   // bytes of messages that were said and are not stored yet
	Failed    bool  // messages can no longer be stored
}

// batches returns the histogram of how many messages one pass of a room publishes. Its sum is the number of
// all messages.
func batches(s hub.Stats) prometheus.Metric {
	desc := prometheus.NewDesc("doyasa_batch_messages", "Messages that a room published at once, so that they are written at once.", nil, nil)
	buckets := make(map[float64]uint64)
	var count uint64
	for i, n := range s.Batches {
		count += uint64(n)
		if i > 0 && i < len(s.Batches)-1 { // the last bucket has no upper bound
			buckets[float64(int(1)<<i-1)] = count
		}
	}
	return prometheus.MustNewConstHistogram(desc, count, float64(s.Messages), buckets)
}

// ConnState must be set as the ConnState of the http.Server, so that /metrics also counts connections that
// have sent no request.
func (s *Server) ConnState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.metrics.http.Add(1)
	case http.StateHijacked, http.StateClosed:
		s.metrics.http.Add(-1)
	}
}
