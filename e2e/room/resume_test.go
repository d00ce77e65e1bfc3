package room_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// A traveller is a person whose connection breaks again and again, and who goes on where it broke.
type traveller struct {
	member
	addr   string
	visits int
	unsaid [][2]string // id and text of what it has said and not yet seen; said again after every break
}

// connect resumes, and says again what may have been lost.
func (v *traveller) connect() error {
	query := "&history=0"
	if v.visits++; v.visits > 1 {
		query = fmt.Sprintf("&after=%d&epoch=%s&session=%s", v.seq, url.QueryEscape(v.hello.Epoch), url.QueryEscape(v.hello.You.Session))
	}
	conn, err := wire.Dial(v.addr, "/websocket?room=doyasa"+query, subprotocol)
	if err != nil {
		return err
	}
	v.conn, v.v1 = conn, true
	n, err := v.next()
	if err == nil && (n.Type != "hello" || v.visits > 1 && !n.Resumed) {
		err = fmt.Errorf("visit %d behind %d begins with %+v, want to be resumed", v.visits, v.seq, n)
	}
	for _, s := range v.unsaid {
		v.say(s[1], s[0])
	}
	return err
}

// step reads one frame, and ticks off what the traveller has said itself.
func (v *traveller) step() error {
	n, err := v.next()
	if n.Type == "message" {
		v.unsaid = slices.DeleteFunc(v.unsaid, func(s [2]string) bool { return s[0] == n.ID })
	}
	if len(v.gaps) > 0 {
		err = fmt.Errorf("told of a gap: %+v", v.gaps)
	}
	return err
}

// TestResume: 40 people whose connections break at random, four of whom say 200 messages a second together. Everybody has every
// message once and in order, whatever broke when, and what was said again after a break stands there once.
func TestResume(t *testing.T) {
	const people, senders, each = 40, 4, 200
	s := doyasa.StartRace(t, unlimited...)
	var ready atomic.Int64
	begin := make(chan struct{}) // closed when all are there
	parallel(t, people, func(i int) error {
		v := &traveller{addr: s.Addr}
		err := v.connect()
		defer func() { v.conn.Close() }()
		if ready.Add(1) == people {
			close(begin)
		}
		<-begin
		pace := time.NewTicker(time.Second * senders / 200)
		defer pace.Stop()
		said := 0
		for err == nil && (len(v.texts) < senders*each || len(v.unsaid) > 0) {
			// Speak when it is time, then read a little; a Close of our own or a plain end at random.
			if i < senders && said < each {
				<-pace.C
				id := fmt.Sprintf("0199a8e2-0000-7000-8000-%04x%08x", i, said)
				v.unsaid = append(v.unsaid, [2]string{id, words(i, said)})
				v.say(words(i, said), id)
				said++
			}
			for range 1 + rand.N(8) {
				if i < senders && said < each && len(v.unsaid) == 0 || len(v.texts) == senders*each && len(v.unsaid) == 0 {
					break
				}
				if err = v.step(); err != nil {
					return fmt.Errorf("visit %d: %w", v.visits, err)
				}
			}
			if rand.N(6) == 0 {
				switch rand.N(3) {
				case 0:
					v.conn.SetLinger(0)
				case 1:
					v.conn.Send(wire.Close, wire.ClosePayload(1001, ""))
				}
				v.conn.Close()
				err = v.connect()
			}
		}
		if err != nil {
			return fmt.Errorf("visit %d: %w", v.visits, err)
		}
		complete(t, v.texts, senders, each)
		if v.visits < 5 {
			return fmt.Errorf("only %d visits: this tests nothing", v.visits)
		}
		return nil
	})
}

// TestResumeLongAway: who was away for longer than the log reaches back gets the rest from history, exactly; for longer than that is
// kept, it is told so; and so is one whose position is of another epoch, or ahead of everybody.
func TestResumeLongAway(t *testing.T) {
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-text-bytes", "8KiB", "--history-bytes", "64MiB")
	text := strings.Repeat("どやさ", 700) // 6,300 bytes
	sender, err := join(s.Addr, "doyasa", true, "&history=0")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.conn.Close()
	speak := func(until int) {
		t.Helper()
		for j := len(sender.texts); j < until; j++ {
			sender.say(words(0, j)+text, "")
			if err := sender.readUntil(j + 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	speak(50)
	// away returns what somebody gets who was last seen at a position.
	away := func(after uint64, epoch string) *member {
		t.Helper()
		v, err := join(s.Addr, "doyasa", true, fmt.Sprintf("&after=%d&epoch=%s", after, url.QueryEscape(epoch)))
		if err != nil {
			t.Fatal(err)
		}
		defer v.conn.Close()
		if err := v.leave(); err != nil {
			t.Error(err)
		}
		return v
	}
	epoch := sender.hello.Epoch
	check := func(name string, v *member, resumed bool, reason string, want []string) {
		t.Helper()
		if v.hello.Resumed != resumed || v.hello.Reason != reason || !slices.Equal(v.texts, want) || len(v.gaps) > 0 {
			t.Errorf("%s: resumed %t, reason %q, %d messages, gaps %v; want %t, %q, %d and none", name, v.hello.Resumed, v.hello.Reason,
				len(v.texts), v.gaps, resumed, reason, len(want))
		}
	}
	newest := func() []string { return sender.texts[max(0, len(sender.texts)-50):] } // history.join
	check("nothing missed", away(50, epoch), true, "", nil)
	check("from the log", away(10, epoch), true, "", sender.texts[10:])
	check("from the beginning", away(0, epoch), true, "", sender.texts)
	speak(950) // 6 MB
	check("from history into the log", away(10, epoch), true, "", sender.texts[10:])
	check("from the beginning again", away(0, epoch), true, "", sender.texts)
	speak(1100)
	check("exactly what is kept", away(100, epoch), true, "", sender.texts[100:])
	check("one more than is kept", away(99, epoch), false, "trimmed", newest())
	check("another epoch", away(1100, "other"), false, "epoch", newest())
	check("the future", away(1101, epoch), false, "future", newest())
	fresh, err := join(s.Addr, "doyasa", true, "")
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.conn.Close()
	check("fresh", fresh, false, "fresh", newest())
}
