package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// The server is killed while a small history is trimmed all the time, while people catch up and while they retry: whoever comes back
// goes on without a hole or is told that it was `trimmed`, and an id has one place for ever, also when its message is long gone.
func TestKillWhileTrimming(t *testing.T) {
	doyasa.Long(t)
	kills := number("DOYASA_KILLS", 4)
	dir, addr := t.TempDir(), freeAddr(t)
	start := func() *doyasa.Server {
		return doyasa.Start(t, "--listen", addr, "--history-store", "embedded", "--history-dir", dir, "--history-messages", "300",
			"--history-join", "50", "--limits-messages-per-second", "0")
	}
	server := start()
	w := &places{at: make(map[string]uint64)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var travellers []*traveller
	for i := range 30 {
		v := &traveller{number: i, addr: addr, places: w}
		travellers = append(travellers, v)
		running.Go(func() { v.run(ctx, t) })
	}
	for range kills {
		time.Sleep(400*time.Millisecond + rand.N(800*time.Millisecond)) // the moment is the test's input
		server.Kill()
		server = start()
	}
	time.Sleep(time.Second) // for as long the last start is travelled to as well
	cancel()
	running.Wait()
	var all traveller
	for _, v := range travellers {
		all.messages += v.messages
		all.resumed += v.resumed
		all.trimmed += v.trimmed
		all.repeated += v.repeated
	}
	p := fetch(t, addr, "?limit=200")
	t.Logf("%d kills, %d messages up to %d, %d seen, %d resumes, %d times trimmed, %d retries answered with their place", kills, len(w.at), p.Last,
		all.messages, all.resumed, all.trimmed, all.repeated)
	if p.First < 300 || all.resumed == 0 || all.trimmed == 0 || all.repeated == 0 {
		t.Errorf("too little happened; the history begins at %d", p.First)
	}
}

// places knows where each id stands. Its methods may be called from any goroutine.
type places struct {
	mu sync.Mutex
	at map[string]uint64
}

// note tells where an id was seen before, if that was elsewhere.
func (p *places) note(id string, seq uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if was := p.at[id]; was != 0 && was != seq {
		return fmt.Errorf("%s stands at %d, and at %d", id, was, seq)
	}
	p.at[id] = seq
	return nil
}

// A traveller comes and goes, says things, and says old things again.
type traveller struct {
	number         int
	addr           string
	places         *places
	epoch, session string
	last           uint64
	ids            []string // said and acknowledged

	said, messages, resumed, trimmed, repeated int
}

func (v *traveller) run(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		if err := v.visit(ctx); err != nil {
			t.Errorf("traveller %d: %v", v.number, err)
			return
		}
		select { // long enough away, now and then, that much is trimmed meanwhile
		case <-time.After(rand.N(time.Duration(1+v.number%3*200) * time.Millisecond)):
		case <-ctx.Done():
		}
	}
}

// visit is one connection. Its error is the server's fault; a connection that ends is none.
func (v *traveller) visit(ctx context.Context) error {
	target := "/websocket?room=r&name=t" + strconv.Itoa(v.number)
	if v.epoch != "" {
		target += fmt.Sprintf("&after=%d&epoch=%s&session=%s", v.last, v.epoch, v.session)
	}
	conn, err := wire.Dial(v.addr, target, "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		return nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	placed, stay := false, 50+rand.IntN(200)
	for range stay {
		f, err := conn.ReadFrame()
		if err != nil || f.Code() != 0 {
			return nil
		}
		var n struct {
			Type, Epoch, Reason, ID, Code string
			Resumed                       bool
			Seq, Prev, To                 uint64
			You                           struct{ Session string }
		}
		if !bytes.HasPrefix(f.Payload, []byte("{")) {
			continue
		}
		if json.Unmarshal(f.Payload, &n); n.Type == "error" {
			return fmt.Errorf("error %s", n.Code)
		}
		switch n.Type {
		case "hello":
			if placed = n.Resumed; placed {
				v.resumed++
			} else if v.epoch != "" {
				v.trimmed++
				if n.Reason != "trimmed" || n.Epoch != v.epoch {
					return fmt.Errorf("not resumed because of %q, in epoch %s after %s", n.Reason, n.Epoch, v.epoch)
				}
			}
			v.epoch, v.session = n.Epoch, n.You.Session
		case "live":
			v.last, placed = max(v.last, n.Seq), true
			v.say(conn, "")
			if len(v.ids) > 0 { // something old
				v.say(conn, v.ids[rand.IntN(len(v.ids))])
			}
		case "gap":
			v.last, placed = n.To, true
		case "message":
			if err := v.places.note(n.ID, n.Seq); err != nil {
				return err
			}
			if n.Seq <= v.last {
				v.repeated++
				continue
			}
			if placed && n.Prev != v.last {
				return fmt.Errorf("%d with prev %d behind %d", n.Seq, n.Prev, v.last)
			}
			v.last, placed = n.Seq, true
			v.messages++
			if bytes.HasPrefix([]byte(n.ID), fmt.Appendf(nil, "%08x", v.number+1)) {
				v.ids = append(v.ids, n.ID)
				v.say(conn, "")
			}
		}
	}
	return nil
}

func (v *traveller) say(conn *wire.Conn, id string) {
	if id == "" {
		v.said++
		id = fmt.Sprintf("%08x-0000-7000-8000-%012x", v.number+1, v.said)
	}
	conn.Send(wire.Text, fmt.Appendf(nil, `{"type":"say","id":"%s","text":"どやさ"}`, id))
}
