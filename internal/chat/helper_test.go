package chat

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/internal/limit"
	"github.com/doyasa/doyasa/wsproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const someID = "0199a8e2-0000-7000-8000-000000000001"

// lockedBuffer is a log to read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A bench is sessions on a hub of their own, without HTTP.
type bench struct {
	*Sessions
	log *lockedBuffer

	mu      sync.Mutex
	counted map[string]int // guarded by mu: what the counters were told, "closed 1011" for instance
}

// newBench returns sessions with the default configuration and the changes of change. The test shuts them down.
func newBench(t *testing.T, change func(*config.Config)) *bench {
	t.Helper()
	return newBenchOn(t, hub.Options{}, change)
}

// newBenchOn is newBench on a hub with these options.
func newBenchOn(t *testing.T, o hub.Options, change func(*config.Config)) *bench {
	t.Helper()
	cfg := config.Default()
	if change != nil {
		change(&cfg)
	}
	b := &bench{log: new(lockedBuffer), counted: make(map[string]int)}
	count := func(what string) func(string) {
		return func(label string) {
			b.mu.Lock()
			b.counted[what+" "+label]++
			b.mu.Unlock()
		}
	}
	plain := func(what string) func() { return func() { count(what)("") } }
	rate := limit.Rate{PerSecond: float64(cfg.Limits.MessagesPerSecond), Burst: float64(cfg.Limits.Burst)}
	o.DefaultRoom, o.MaxRooms = cfg.Rooms.Default, cfg.Rooms.Max
	b.Sessions = New(Options{
		Hub:         hub.New(o),
		Rooms:       cfg.Rooms,
		Limits:      cfg.Limits,
		Log:         limit.NewLog(zerolog.New(b.log)),
		Quotas:      &limit.Quotas{Connection: rate, Messages: limit.NewQuota(limit.Rate{}), Rooms: limit.NewQuota(limit.Rate{}), History: limit.NewQuota(limit.Rate{})},
		Connections: limit.NewConnections(1000, 0),
		Input:       limit.NewInputBytes(cfg.Limits.MessageBytes),
		Counters: Counters{
			Opened: func(time.Duration) {}, Delivered: func(time.Duration) {},
			Refused: count("refused"), Failed: count("failed"), Throttled: count("throttled"), Closed: count("closed"),
			Overtaken: plain("overtaken"), Panicked: plain("panicked"),
		},
	})
	return b
}

func (b *bench) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counted[what]
}

// shutdown ends the sessions and their hub.
func (b *bench) shutdown(t *testing.T) {
	t.Helper()
	if err := b.Shutdown(context.Background()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown = %v", err)
	}
	b.Hub.Close()
}

// serve opens a session and returns the client's end of its connection.
func (b *bench) serve(early []byte, r *Request) *conntest.Conn {
	peer, nc := conntest.Pair(1 << 20)
	b.Connections.Reserve(r.From.Network())
	b.Serve(nc, early, r)
	return peer
}

// frame is a whole frame of a client.
func frame(op wsproto.Opcode, payload string) []byte {
	return wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: op, Masked: true, MaskingKey: [4]byte{1, 2, 3, 4}}, []byte(payload))
}
