package journal

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journaltest"
)

// natsServer runs a server of its own on loopback, as a cluster of one.
func natsServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, JetStream: true, StoreDir: dir,
		JetStreamMaxMemory: 1 << 20, JetStreamMaxStore: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func openShared(t *testing.T, s *server.Server, o Options) *Journal {
	t.Helper()
	j, err := OpenShared(s.ClientURL(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Stop(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestSharedContract(t *testing.T) {
	journaltest.Run(t, func(t *testing.T, keep int) hub.Journal {
		return openShared(t, natsServer(t, t.TempDir(), server.RANDOM_PORT), Options{Limits: Limits{Messages: keep}})
	})
}

// heard is a room in one process: all that it delivers, in order.
type heard struct {
	mu      sync.Mutex
	entries []hub.Entry // guarded by mu
}

func listen(t *testing.T, j *Journal, room string) *heard {
	t.Helper()
	h := new(heard)
	if _, err := j.Open(room, func(e hub.Entry) {
		h.mu.Lock()
		h.entries = append(h.entries, e)
		h.mu.Unlock()
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// wait returns the first n entries once there are that many.
func (h *heard) wait(t *testing.T, n int) []hub.Entry {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for tick := time.NewTicker(time.Millisecond); ; {
		h.mu.Lock()
		got := slices.Clone(h.entries)
		h.mu.Unlock()
		if len(got) >= n {
			tick.Stop()
			return got
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d entries, want %d", len(got), n)
		}
	}
}

// Several processes see one order: the same messages with the same numbers, what is not
// kept among them at the same place; and a process that comes later has the same history.
func TestSharedOrder(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	o := Options{Limits: Limits{Messages: 100}}
	processes := []*Journal{openShared(t, s, o), openShared(t, s, o), openShared(t, s, o)}
	var rooms []*heard
	for _, j := range processes {
		rooms = append(rooms, listen(t, j, "部屋"))
	}
	const each = 200
	var saying sync.WaitGroup
	for p, j := range processes {
		saying.Go(func() {
			for i := range each {
				j.Append("部屋", &hub.Message{ID: hub.ID{byte(p + 1), byte(i)}, Idempotent: true, Transient: i%10 == 0, Payload: fmt.Append(nil, p, i), At: 1})
			}
		})
	}
	saying.Wait()
	type place struct {
		seq, prev uint64
		text      string
	}
	order := func(es []hub.Entry) (all []place) {
		for _, e := range es {
			if e.Err != nil || e.Repeated {
				t.Fatalf("%+v", e)
			}
			all = append(all, place{e.Message.Seq, e.Message.Prev, string(e.Message.Payload)})
		}
		return all
	}
	first := order(rooms[0].wait(t, each*len(processes)))
	for i, r := range rooms[1:] {
		if got := order(r.wait(t, each*len(processes))); !reflect.DeepEqual(got, first) {
			t.Errorf("process %d has another order than the first", i+1)
		}
	}
	prev := uint64(0)
	for _, p := range first {
		if p.seq == 0 {
			continue // not kept
		}
		if p.prev != prev {
			t.Fatalf("%+v behind %d", p, prev)
		}
		prev = p.seq
	}
	want := page(t, processes[0], "部屋", all)
	late := openShared(t, s, o)
	for i, j := range append(processes, late) {
		got := page(t, j, "部屋", all)
		if len(got.Messages) != 100 || got.Head != want.Head || got.Floor != want.Floor || got.Epoch != want.Epoch || got.Messages[0].Prev != want.Floor {
			t.Errorf("process %d: %d messages, head %d, floor %d, epoch %s; want 100, %d, %d, %s", i, len(got.Messages), got.Head, got.Floor, got.Epoch,
				want.Head, want.Floor, want.Epoch)
		}
		for k, m := range got.Messages {
			if m.Seq != want.Messages[k].Seq || m.Prev != want.Messages[k].Prev || string(m.Payload) != string(want.Messages[k].Payload) {
				t.Fatalf("process %d: message %d is %+v, want %+v", i, k, m, want.Messages[k])
			}
		}
	}
}

// One id, said in two processes at the same moment, is stored once, and both senders are
// told the same place.
func TestSharedRetry(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	a, b := openShared(t, s, Options{}), openShared(t, s, Options{})
	ra, rb := listen(t, a, "r"), listen(t, b, "r")
	const n = 100
	for i := range n {
		for _, j := range []*Journal{a, b} {
			j.Append("r", &hub.Message{ID: hub.ID{9, byte(i)}, Idempotent: true, Payload: []byte("x"), At: 5})
		}
	}
	// Each process hears of n messages, and of n answers between them.
	for deadline := time.Now().Add(30 * time.Second); len(ra.wait(t, n))+len(rb.wait(t, n)) < 3*n; {
		if time.Now().After(deadline) {
			t.Fatal("not everybody was answered")
		}
		time.Sleep(time.Millisecond)
	}
	places := make(map[hub.ID]uint64)
	for _, e := range append(ra.wait(t, n), rb.wait(t, n)...) {
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		if was := places[e.Message.ID]; was != 0 && was != e.Message.Seq || e.Message.Seq == 0 || e.Message.At != 5 {
			t.Errorf("id %x at %d and at %d", e.Message.ID[:2], was, e.Message.Seq)
		}
		places[e.Message.ID] = e.Message.Seq
	}
	if got := stored(t, a, messageSubject("r")); got != n {
		t.Errorf("%d messages stored, want %d", got, n)
	}
}

// Only one process trims, all know of it, and what was trimmed is known by its id to one
// that comes later.
func TestSharedTrim(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	o := Options{Limits: Limits{Messages: 50}}
	var two [2]*Journal
	for i := range two {
		var err error
		if two[i], err = OpenShared(s.ClientURL(), o); err != nil {
			t.Fatal(err)
		}
	}
	a, b := two[0], two[1]
	rb := listen(t, b, "r")
	say(t, a, "r", 0, 400)
	rb.wait(t, 400)
	if n := stored(t, a, messageSubject("r")); n != 400 {
		t.Errorf("%d messages in the stream, want all: another process may not have had them", n)
	}
	c := openShared(t, s, o)
	if o, _ := c.Open("r", func(hub.Entry) {}); len(o.Recent) != 400 {
		t.Errorf("%d ids known, want 400", len(o.Recent))
	}
	for _, j := range []*Journal{a, b, c} {
		if p := page(t, j, "r", all); len(p.Messages) != 50 || p.Floor != p.Messages[0].Prev {
			t.Errorf("%d messages, floor %d, want 50 and %d", len(p.Messages), p.Floor, p.Messages[0].Prev)
		}
	}
	// In the end nobody needs them any more. Whoever stored a trim removes what it says.
	for _, j := range []*Journal{a, b} {
		stop(t, j)
		j.nc, _ = nats.Connect(s.ClientURL())
		j.js, _ = jetstream.New(j.nc)
		j.cleanShared(time.Now().Add(2 * sharedLag))
		j.nc.Close()
	}
	if n := stored(t, c, messageSubject("r")); n > 50+64 {
		t.Errorf("%d messages in the stream, want not many more than 50", n)
	}
	d := openShared(t, s, o)
	if p := page(t, d, "r", all); len(p.Messages) != 50 || p.Floor != p.Messages[0].Prev {
		t.Errorf("%d messages, floor %d, want 50 and %d", len(p.Messages), p.Floor, p.Messages[0].Prev)
	}
}

// While the server is away everything is refused, at once or soon; when it is back,
// everything goes on, with what other processes said meanwhile.
func TestSharedOutage(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, server.RANDOM_PORT)
	port := s.Addr().String()
	j := openShared(t, s, Options{})
	first := say(t, j, "r", 0, 10)
	var number int
	fmt.Sscanf(port[len("127.0.0.1:"):], "%d", &number)
	s.Shutdown()
	s.WaitForShutdown()
	h := listen(t, j, "r")
	j.Append("r", &hub.Message{Payload: []byte("x"), At: 1})
	if e := h.wait(t, 1)[0]; !errors.Is(e.Err, hub.ErrUnavailable) {
		t.Errorf("without a server: %v, want ErrUnavailable", e.Err)
	}
	if p := page(t, j, "r", all); len(p.Messages) != 10 {
		t.Errorf("%d messages, want the 10 that are in memory", len(p.Messages))
	}
	natsServer(t, dir, number)
	for deadline := time.Now().Add(30 * time.Second); ; {
		h := listen(t, j, "r")
		j.Append("r", &hub.Message{Payload: []byte("y"), At: 1})
		es := h.wait(t, 1)
		if e := es[len(es)-1]; e.Err == nil {
			if e.Message.Prev < first[9].Seq {
				t.Errorf("Prev %d, want at least %d", e.Message.Prev, first[9].Seq)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not go on")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// What waits for a server elsewhere is bounded as well.
func TestSharedBusy(t *testing.T) {
	j := openShared(t, natsServer(t, t.TempDir(), server.RANDOM_PORT), Options{})
	h := listen(t, j, "r")
	j.mu.Lock()
	j.queued = maxQueued
	j.mu.Unlock()
	j.Append("r", &hub.Message{Payload: []byte("x"), At: 1})
	if e := h.wait(t, 1)[0]; !errors.Is(e.Err, hub.ErrBusy) {
		t.Errorf("with %d bytes waiting: %v, want ErrBusy", maxQueued, e.Err)
	}
	j.mu.Lock()
	j.queued = 0
	j.mu.Unlock()
	j.Append("r", &hub.Message{Payload: []byte("x"), At: 1})
	if e := h.wait(t, 2)[1]; e.Err != nil {
		t.Error(e.Err)
	}
}

// Nobody answers at the address: one line says so.
func TestSharedNobody(t *testing.T) {
	_, err := OpenShared("nats://127.0.0.1:1", Options{})
	wantLine(t, err, "nats://127.0.0.1:1", "no NATS server answers there")
}

// What says where the history is goes to logs and to whoever asks /readyz, so no secret is in it.
func TestSharedAddressWithoutSecrets(t *testing.T) {
	_, err := OpenShared("nats://someone:secret@127.0.0.1:1,nats://token@127.0.0.1:2", Options{})
	wantLine(t, err, "nats://127.0.0.1:1,nats://127.0.0.1:2", "no NATS server answers there")
	for _, secret := range []string{"someone", "secret", "token"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q has %q", err, secret)
		}
	}
	if got := Shown("tls://a:b%2Cc@[::1]:4222"); got != "tls://[::1]:4222" {
		t.Errorf("Shown = %q, want the address alone", got)
	}
}
