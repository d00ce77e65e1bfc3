package hub_test

import (
	"context"
	"io"
	"testing"

	"github.com/doyasa/doyasa/hub"
)

// frame shows a message as a server would: a header of two bytes, and the payload.
var frame = &hub.Form{Message: func(dst []byte, m *hub.Message) []byte {
	return append(append(dst, 0x81, byte(len(m.Payload))), m.Payload...)
}}

// bench returns a hub with members that read only when the benchmark makes them. The hub
// keeps a short history, so that memory does not grow with b.N.
func bench(b *testing.B, members int) (*hub.Hub, []*hub.Member) {
	h := hub.New(hub.Options{Journal: hub.NewMemory(hub.MemoryOptions{Messages: 1000})})
	b.Cleanup(h.Close)
	all := make([]*hub.Member, members)
	for i := range all {
		w := make(wake, 1)
		m, err := h.Join(room, frame, hub.Author{}, w)
		if err != nil {
			b.Fatal(err)
		}
		<-w
		all[i] = m
	}
	b.ReportAllocs()
	return h, all
}

// One message from Publish into the log, and its answer, with a thousand members to wake.
func BenchmarkPublish(b *testing.B) {
	h, _ := bench(b, 1000)
	payload := make([]byte, 64)
	for b.Loop() {
		if _, err := h.Publish(context.Background(), room, &hub.Message{Payload: payload}); err != nil {
			b.Fatal(err)
		}
	}
}

// One Say, with as many messages under way as the inbox takes: the cost of a message under
// load.
func BenchmarkSay(b *testing.B) {
	h, _ := bench(b, 0)
	space := make(wake, 1)
	m, err := h.Join(room, frame, hub.Author{}, space)
	if err != nil {
		b.Fatal(err)
	}
	<-space
	payload := make([]byte, 64)
	for b.Loop() {
		for !m.Say(&hub.Message{Payload: payload}) {
			<-space
		}
	}
}

// A pass over a thousand members with one message due to each: the cost of a delivery
// without the write.
func BenchmarkCursorPass(b *testing.B) {
	h, all := bench(b, 1000)
	m := &hub.Message{Payload: make([]byte, 64)}
	for b.Loop() {
		b.StopTimer()
		again := *m
		if _, err := h.Publish(context.Background(), room, &again); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for _, m := range all {
			if n, err := m.WriteTo(io.Discard); n != 66 || err != nil {
				b.Fatalf("WriteTo = %d, %v, want 66", n, err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}
