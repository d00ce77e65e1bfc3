package faults

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// Two processes with one NATS server are one room: who is with either is shown the same messages in the same order, without a hole,
// and may go on with the other.
func TestSharedHistory(t *testing.T) {
	nats, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { // behind the processes, which end first
		nats.Shutdown()
		nats.WaitForShutdown()
	})
	if !nats.ReadyForConnections(wire.Patience) {
		t.Fatal("the NATS server is not ready")
	}
	var addrs []string
	for range 2 {
		addrs = append(addrs, doyasa.Start(t, "--history-store", "nats", "--history-nats-url", nats.ClientURL(), "--limits-messages-per-second", "0").Addr)
	}

	const clients, each = 6, 100
	shown := make([][]string, clients) // "seq prev text", in order
	var conns []*wire.Conn
	for i := range clients {
		conn, err := wire.Dial(addrs[i%2], "/websocket?room=r&history=0", "Sec-WebSocket-Protocol: doyasa.v1")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for { // is there before anybody speaks
			f, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.HasPrefix(f.Payload, []byte(`{"type":"live"`)) {
				break
			}
		}
		conns = append(conns, conn)
	}
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() {
			for n := range each {
				conn.Send(wire.Text, fmt.Appendf(nil, `{"type":"say","text":"<%d %d>"}`, i, n))
			}
		})
		running.Go(func() {
			conn.SetDeadline(time.Now().Add(wire.Patience))
			last := uint64(0)
			for len(shown[i]) < clients*each {
				f, err := conn.ReadFrame()
				if err != nil {
					t.Errorf("client %d, after %d messages: %v", i, len(shown[i]), err)
					return
				}
				if !bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)) {
					continue
				}
				seq, prev := field(f.Payload, `"seq":`), field(f.Payload, `"prev":`)
				if prev != last || seq <= prev {
					t.Errorf("client %d: %d with prev %d behind %d", i, seq, prev, last)
				}
				last = seq
				from := bytes.Index(f.Payload, []byte(`"text":"`))
				text, _, _ := bytes.Cut(f.Payload[from:], []byte(`>`))
				shown[i] = append(shown[i], fmt.Sprint(seq, prev, string(text)))
			}
		})
	}
	running.Wait()
	for i := range shown {
		if !slices.Equal(shown[i], shown[0]) {
			t.Errorf("client %d, of process %d, was shown another order than client 0", i, i%2)
		}
	}

	// The same history and epoch with both: who was with the first goes on with the second.
	at := joiner{asked: 50, until: func(int) bool { return true }}
	if err := at.run(addrs[0], ""); err != nil {
		t.Fatal(err)
	}
	after := uint64(0)
	fmt.Sscan(shown[0][len(shown[0])-21], &after)
	on := joiner{resumes: true, asked: 20, last: after, until: func(int) bool { return true }}
	if err := on.run(addrs[1], fmt.Sprintf("after=%d&epoch=%s", after, at.epoch)); err != nil {
		t.Error(err)
	}
}
