package hostile_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// The rows of A-M that are about rooms, positions and history.

func runRooms(t *testing.T, s *stand) {
	for _, room := range []string{"", "*", ">", "a.>", "$SYS.x", "../x", "a b", "a/b", "a\x00b", "\xff", strings.Repeat("r", 65), strings.Repeat("r", 10_000), "a\u200bb", "a\u202eb"} {
		for _, header := range [][]string{nil, {v1}} {
			if reason := s.dial(t, "?room="+url.QueryEscape(room), header...).refusal(); reason != "bad_room" {
				t.Errorf("%.40q: refused as %q, want bad_room", room, reason)
			}
		}
		response, err := http.Post("http://"+s.server.Addr+"/api/rooms/"+url.PathEscape(room)+"/messages", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 || response.StatusCode > 405 {
			t.Errorf("posting to %.40q: %s", room, response.Status)
		}
	}
	if reason := s.dial(t, "?room=%zz").refusal(); reason != "bad_query" {
		t.Errorf("a query that cannot be read is refused as %q", reason)
	}
	http.DefaultClient.CloseIdleConnections()
}

func runPositions(t *testing.T, s *stand) {
	for _, after := range []string{"-1", "9223372036854775808", "9007199254740992", "%2212%22", "1.5", "0x10", "", "1e3"} {
		if reason := s.dial(t, "?after="+after, v1).refusal(); reason != "bad_after" {
			t.Errorf("after=%s: refused as %q, want bad_after", after, reason)
		}
	}
	_, now := s.dialV1(t, "")
	_, hello := s.dialV1(t, fmt.Sprintf("?after=%d&epoch=%s", 1<<52, now["epoch"]))
	if hello["resumed"] != false || hello["reason"] != "future" {
		t.Errorf("a position in the future: %v", hello)
	}
}

func runEpochs(t *testing.T, s *stand) {
	for _, epoch := range []string{"", "x", "00000000-0000-0000-0000-000000000000", strings.Repeat("e", 5000), url.QueryEscape("\x00\r\n")} {
		_, hello := s.dialV1(t, "?after=1&epoch="+epoch)
		if hello["resumed"] != false || hello["reason"] != "epoch" {
			t.Errorf("epoch %.40q: %v, want a reset", epoch, hello)
		}
	}
}

func runHistory(t *testing.T, s *stand) {
	// Over HTTP, as the limit on one address allows.
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for posted := 0; posted < 210; <-again.C {
		response, err := http.Post("http://"+s.server.Addr+"/api/rooms/full/messages", "text/plain", strings.NewReader("old"))
		if err != nil {
			t.Fatal(err)
		}
		s.dialled.Add(1) // each may have its line in the log
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			posted++
		case http.StatusTooManyRequests:
		default:
			t.Fatal(response.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	for history, most := range map[string]int{"-1": 0, "0": 0, "1000000000": 200, "99999999999999999999": 200, "x": 50} {
		p := s.dial(t, "?room=full&history="+history, v1)
		if _, owed := p.greeted(); len(owed) > most || len(owed) < most/2 {
			t.Errorf("history=%s: %d messages, want %d", history, len(owed), most)
		}
	}
	for limit, most := range map[string]int{"-1": 1, "0": 1, "1000000000": 200, "99999999999999999999": 200} {
		if page := s.history(t, "full", "?limit="+limit); len(page) > most || len(page) < most/2 {
			t.Errorf("limit=%s: %d messages, want %d", limit, len(page), most)
		}
	}
}

// runResumes: one who comes back all the time costs nobody else anything; the bystanders are the oracle's.
func runResumes(t *testing.T, s *stand) {
	p, hello := s.dialV1(t, "?room=again")
	for i := range 15 {
		p.Send(wire.Text, say(fmt.Sprint("again ", i)))
		p.said(fmt.Sprint("again ", i))
	}
	for range size(1000, 200) {
		again := s.dial(t, fmt.Sprintf("?room=again&after=1&epoch=%s", hello["epoch"]), v1)
		hello, owed := again.greeted()
		if hello["resumed"] != true || len(owed) != 14 {
			t.Fatalf("%v and %d messages, want what was missed, 14", hello, len(owed))
		}
		again.Close()
	}
}

func runLogName(t *testing.T, s *stand) {
	p := s.dial(t, "?name="+url.QueryEscape("a\r\n[ERROR] \x1b[2J"), v1)
	if reason := p.refusal(); reason != "bad_name" {
		t.Errorf("refused as %q, want bad_name", reason)
	}
}
