package room_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// TestShutdown: at SIGTERM, in the middle of a conversation, everybody gets everything that was accepted, up to the same last
// message; then the members of doyasa.v1 hear when to come back, and everybody gets Close 1012.
func TestShutdown(t *testing.T) {
	const senders, drain = 6, time.Minute // of which nobody needs more than a little
	s := doyasa.StartRace(t, "--limits-messages-per-second", "0", "--limits-drain-timeout", drain.String())
	members := gather(t, s, "doyasa", 40, 2)
	pace := newPace(len(members), 200)
	var sent, there atomic.Int64
	var speaking sync.WaitGroup
	for i := range senders {
		speaking.Go(func() {
			for j := 0; members[i].say(words(i, j), "") == nil; j++ {
				pace.wait(sent.Add(1))
			}
		})
	}
	var signalled time.Time
	parallel(t, len(members), func(i int) error {
		m := members[i]
		defer m.conn.Close() // so that a sender ends
		defer pace.done(i)
		for n := 1; n <= 300; n++ {
			if err := m.readUntil(n); err != nil {
				return err
			}
			pace.read(i, n)
		}
		if there.Add(1) == int64(len(members)) {
			signalled = time.Now()
			s.Terminate()
		}
		for m.closed == 0 {
			if _, err := m.next(); err != nil && m.closed == 0 {
				return fmt.Errorf("after %d messages: %w", len(m.texts), err)
			}
			pace.read(i, len(m.texts))
		}
		return m.ended()
	})
	speaking.Wait()
	if status := s.Wait(drain + wire.Patience); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
	if took := time.Since(signalled); took > drain {
		t.Errorf("the end came %v after the signal, want at most %v", took, drain)
	}
	sameOrder(t, members)
	said := make([]int, senders)
	for at, text := range members[0].texts {
		var i, j int
		if fmt.Sscanf(text, "sender %d says %d", &i, &j); j != said[i] {
			t.Fatalf("message %d is %q, want number %d of its sender", at, text, said[i])
		}
		said[i]++
	}
	for i, m := range members {
		switch {
		case m.closed != 1012:
			t.Errorf("member %d was closed with %d, want 1012", i, m.closed)
		case m.v1 && (m.bye == nil || m.bye.Reason != "restart" || m.bye.Return == nil || *m.bye.Return < 0 || *m.bye.Return > 1000):
			t.Errorf("member %d was told %+v, want bye with a slot within a second", i, m.bye)
		}
	}
	t.Logf("%d messages, gone %v after the signal", len(members[0].texts), time.Since(signalled))
}

// TestShutdownStalled: a member that does not read holds nobody up beyond its grace.
func TestShutdownStalled(t *testing.T) {
	s := doyasa.Start(t, "--limits-messages-per-second", "0", "--limits-drain-timeout", "5m", "--limits-slow-timeout", "10m")
	members := gather(t, s, "doyasa", 4, 2)
	text := strings.Repeat("x", 60_000)
	for i := range 40 { // 2.4 MB: more than the sockets hold, less than the log
		members[0].say(words(0, i)+text, "")
		if err := members[0].readUntil(i + 1); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now()
	s.Terminate()
	if status := s.Wait(wire.Patience); status != 0 {
		t.Errorf("status %d, want 0", status)
	}
	if took := time.Since(since); took > 2*time.Minute {
		t.Errorf("the end came %v after the signal: the member that does not read has held it up", took)
	}
}

// TestSecondSignal: while the first still lets a request finish, newcomers are sent away; the second ends it at once.
func TestSecondSignal(t *testing.T) {
	s := doyasa.Start(t, "--limits-drain-timeout", "10m", "--limits-handshake-timeout", "10m")
	conn, err := net.DialTimeout("tcp", s.Addr, wire.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wire.Patience))
	fmt.Fprintf(conn, "POST /api/rooms/doyasa/messages HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", s.Addr)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v; want 100 Continue", line, err)
	}
	member, err := join(s.Addr, "doyasa", true, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Terminate()
	if err := member.readToEnd(); err != nil || member.closed != 1012 {
		t.Errorf("%v, Close %d; want 1012", err, member.closed)
	}
	_, err = wire.Dial(s.Addr, "/websocket")
	if err == nil || !strings.Contains(err.Error(), "503") && !isRefused(err) {
		t.Errorf("a handshake while shutting down: %v, want 503", err)
	}
	response, err := http.Get("http://" + s.Addr + "/readyz")
	if err == nil {
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/readyz while shutting down: %s, want 503", response.Status)
		}
	}
	since := time.Now()
	s.Terminate()
	if status := s.Wait(wire.Patience); status == 0 || time.Since(since) > 2*time.Minute {
		t.Errorf("after the second signal: status %d after %v; want a failure at once", status, time.Since(since))
	}
}

// isRefused: the listener is closed already, which sends newcomers away as well.
func isRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
