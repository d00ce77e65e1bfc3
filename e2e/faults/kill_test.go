package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

// number reads a figure of the long form from the environment.
func number(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return short
}

// Killed again and again while everybody talks, the server loses nothing that it has acknowledged, doubles nothing, and everybody
// goes on exactly where they were. DOYASA_KILLS, DOYASA_CLIENTS and DOYASA_RATE are the long form's.
func TestKill(t *testing.T) {
	kills, clients, rate := number("DOYASA_KILLS", 3), number("DOYASA_CLIENTS", 50), number("DOYASA_RATE", 250)
	testKill(t, kills, clients, rate)
}

func testKill(t *testing.T, kills, count, rate int) {
	dir, addr := t.TempDir(), freeAddr(t)
	start := func() *doyasa.Server {
		return doyasa.Start(t, "--listen", addr, "--history-store", "embedded", "--history-dir", dir,
			"--history-messages", "100000000", "--history-bytes", "10GiB", "--history-total-bytes", "10GiB",
			"--limits-messages-per-second", "0")
	}
	server := start()
	l := newLedger(count)
	ctx, cancel := context.WithCancel(t.Context())
	var clients []*client
	var running sync.WaitGroup
	for i := range count {
		c := &client{number: i, addr: addr, ledger: l, every: time.Second * time.Duration(count) / time.Duration(rate)}
		clients = append(clients, c)
		running.Go(func() { c.run(ctx) })
		running.Go(func() { c.talk(ctx) })
	}
	defer running.Wait()
	defer cancel()
	everybody := func() {
		eventually(t, "everybody is there", func() error {
			for _, c := range clients {
				if !c.there() {
					return fmt.Errorf("client %d is not", c.number)
				}
			}
			return nil
		})
	}
	for range kills {
		everybody()
		time.Sleep(300*time.Millisecond + rand.N(1200*time.Millisecond)) // the moment is the test's input
		server.Kill()
		server = start()
	}
	everybody()
	for _, c := range clients {
		c.mu.Lock()
		c.quiet = true
		c.mu.Unlock()
	}
	head := func() uint64 { return last(t, addr) }
	eventually(t, "everything has an outcome, and everybody has everything", func() error {
		h := head()
		for _, c := range clients {
			if !c.settledAll() {
				return fmt.Errorf("client %d waits for outcomes", c.number)
			}
			if at := l.at(c.number); at != h {
				return fmt.Errorf("client %d is at %d of %d", c.number, at, h)
			}
		}
		return nil
	})
	v := l.check(history(t, addr))
	t.Logf("%d kills, %d clients: %d messages acknowledged, %d failed, %d unknown of which %d kept; %d receipts, %d resumes",
		kills, count, v.acknowledged, v.failed, v.unknown, v.unknownKept, v.receipts, v.resumes)
	for i, w := range v.wrong {
		if i == 20 {
			t.Errorf("… %d in all", len(v.wrong))
			break
		}
		t.Error(w)
	}
	if v.resumes < kills*count || v.acknowledged < kills*rate/4 {
		t.Errorf("too little happened for %d kills: each is a resume for everybody", kills)
	}
}

func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		err := ask()
		if err == nil {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

type page struct {
	Epoch       string
	First, Last uint64
	Messages    []struct {
		ID        string
		Seq, Prev uint64
		Text      string
	}
}

func fetch(t *testing.T, addr, query string) (p page) {
	t.Helper()
	response, err := http.Get("http://" + addr + "/api/rooms/r/messages" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return p
}

func last(t *testing.T, addr string) uint64 { return fetch(t, addr, "?limit=1").Last }

// history is all that the room has, in pages.
func history(t *testing.T, addr string) (all []kept) {
	t.Helper()
	for after := uint64(0); ; {
		p := fetch(t, addr, fmt.Sprintf("?limit=200&after=%d", after))
		if len(p.Messages) == 0 {
			return all
		}
		for _, m := range p.Messages {
			all = append(all, kept{m.ID, m.Seq, m.Prev})
			after = m.Seq
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
