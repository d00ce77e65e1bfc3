package hostile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// applicationRows are A-M, doyasa.v1.
var applicationRows = []row{
	{id: "M1", input: "no JSON", run: errs("bad_json", `hello`, `{`, `{'a':1}`, `{"type":"say","text":"x",}`, "{\"type\":\"say\",\"text\":\"a\nb\"}", "\x00")},
	{id: "M2", input: "nothing, or not at the beginning", run: errs("bad_json", `""`, `   `, "\ufeff"+`{"type":"say","text":"x"}`)},
	{id: "M3", input: "JSON, but no object", run: errs("bad_json", `null`, `[]`, `"x"`, `42`, `true`, `[{"type":"say","text":"x"}]`)},
	{id: "M4", input: "no type, or an unknown one", run: func(t *testing.T, s *stand) {
		errs("bad_type", `{}`, `{"text":"x"}`)(t, s)
		errs("unknown_type", `{"type":"shout"}`, `{"type":""}`, `{"type":"message","text":"x"}`, `{"type":"SAY","text":"x"}`)(t, s)
	}},
	{id: "M5", input: "wrong types in every field", run: runWrongTypes},
	{id: "M6", input: "deep nesting", run: errs("bad_json", strings.Repeat("[", 10_000), strings.Repeat("[", 65_536),
		`{"type":"say","text":"x","a":`+strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)+`}`, strings.Repeat(`{"a":`, 10_001)+"1"+strings.Repeat("}", 10_001))},
	{id: "M7", input: "numbers that are none", run: runNumbers, note: "no field of a client is a number; in a field that is not known any is ignored"},
	{id: "M8", input: "keys twice", run: runKeysTwice, note: "the last wins, and receivers get the re-encoded form"},
	{id: "M9", input: "keys in another case", run: func(t *testing.T, s *stand) {
		errs("bad_type", `{"TYPE":"say","text":"x"}`, `{"Type":"say","text":"x"}`)(t, s)
		errs("bad_text", `{"type":"say","Text":"x"}`, `{"type":"say","TEXT":"x"}`)(t, s)
		errs("bad_name", `{"type":"name","Name":"x"}`)(t, s)
	}},
	{id: "M10", input: "something behind the object", run: errs("bad_json", `{"type":"say","text":"x"}{"type":"say","text":"y"}`, `{"type":"say","text":"x"} junk`, `{"type":"say","text":"x"}]`)},
	{id: "M11", input: "surrogates alone", run: runSurrogates},
	{id: "M12", input: "control characters", run: func(t *testing.T, s *stand) {
		errs("bad_text", `{"type":"say","text":"a\u0000b"}`, `{"type":"say","text":"a\u001b[2J"}`, `{"type":"say","text":"a\u009b"}`, `{"type":"say","text":"a\u007f"}`)(t, s)
		errs("bad_name", `{"type":"name","name":"a\u0000b"}`, `{"type":"name","name":"a\u001b[2J"}`, `{"type":"name","name":"a\u0085b"}`, `{"type":"name","name":"a\u202eb"}`)(t, s)
	}},
	{id: "M13", input: "names that are none", run: runNames, note: "an empty name in the query is no name: a guest's is given"},
	{id: "M14", input: "text at the limit, and a byte more", run: runTextLimit},
	{id: "M15", input: "fields that are the server's to set", run: runSpoofed},
	{id: "M16", input: "10,000 messages at once", run: runBurst},
	{id: "M17", input: "one id ten times", run: runOneID},
	{id: "M18", input: "rooms that are none", run: runRooms, note: "refused behind the 101 with Close 1008"},
	{id: "M19", input: "positions that are none", run: runPositions, note: "refused behind the 101 with Close 1008, or an explicit reset"},
	{id: "M20", input: "positions of another epoch", run: runEpochs},
	{id: "M21", input: "never says hello", note: "nobody has to: the query joins"},
	{id: "M22", input: "send before join, join twice", run: errs("unknown_type", `{"type":"join","room":"x"}`, `{"type":"hello"}`), note: "the query joins, so nothing comes before"},
	{id: "M23", input: "more history than there is", run: runHistory},
	{id: "M24", input: "resumed many times a second", run: runResumes},
	{id: "M25", input: "a name made for the log", run: runLogName, note: "refused behind the 101 with Close 1008"},
}

// errs sends messages that are answered with one code each, and the connection stays.
func errs(code string, messages ...string) func(*testing.T, *stand) {
	return func(t *testing.T, s *stand) {
		p, _ := s.dialV1(t, "")
		for _, m := range messages {
			if err := p.Send(wire.Text, []byte(m)); err != nil {
				t.Fatal(err)
			}
			f, err := p.next()
			var got struct{ Type, Code, Text string }
			json.Unmarshal(f.Payload, &got)
			if err != nil || got.Type != "error" || got.Code != code || got.Text == "" {
				t.Fatalf("%.100q: %v, %v; want the error %s", m, f, err, code)
			}
		}
		p.open()
	}
}

func runWrongTypes(t *testing.T, s *stand) {
	for _, wrong := range []string{`1`, `{}`, `[]`, `null`, `true`, `["x"]`, `1e999`, `-0`} {
		for field, code := range map[string]string{"type": "bad_type", "text": "bad_text", "id": "bad_id", "name": "bad_name"} {
			m := map[string]string{"type": `"say"`, "text": `"x"`, "id": `"0199a8e2-0000-7000-8000-000000000001"`}
			if field == "name" {
				m = map[string]string{"type": `"name"`}
			}
			m[field] = wrong
			var pairs []string
			for key, value := range m {
				pairs = append(pairs, fmt.Sprintf("%q:%s", key, value))
			}
			errs(code, "{"+strings.Join(pairs, ",")+"}")(t, s)
		}
	}
}

func runNumbers(t *testing.T, s *stand) {
	errs("bad_type", `{"type":1e400}`, `{"type":`+strings.Repeat("9", 10_000)+`}`, `{"type":1.0}`)(t, s)
	errs("bad_json", `{"type":"say","text":"x","n":01}`, `{"type":"say","text":"x","n":+1}`, `{"type":"say","text":"x","n":NaN}`)(t, s)
	p, _ := s.dialV1(t, "")
	for i, n := range []string{"1e400", strings.Repeat("9", 10_000), "-0", "1.0"} {
		p.Send(wire.Text, fmt.Appendf(nil, `{"type":"say","text":"number %d","n":%s}`, i, n))
		p.said(fmt.Sprint("number ", i))
	}
}

// said reads a message with a text.
func (p *peer) said(text string) (fields map[string]any) {
	p.t.Helper()
	if fields = p.json("message"); fields["text"] != text {
		p.t.Fatalf("%v, want the text %.100q", fields, text)
	}
	return fields
}

func runKeysTwice(t *testing.T, s *stand) {
	p, _ := s.dialV1(t, "")
	p.Send(wire.Text, []byte(`{"type":"name","text":"hidden","type":"say","text":"shown","x":{"text":"hidden"}}`))
	p.said("shown")
	if err := s.crowd.heard("shown"); err != nil {
		t.Error(err)
	}
	if err := s.crowd.heardNothingLike("hidden"); err != nil {
		t.Error(err)
	}
}

// history reads the newest messages of a room over HTTP.
func (s *stand) history(t *testing.T, room, query string) (messages []map[string]any) {
	t.Helper()
	response, err := http.Get("http://" + s.server.Addr + "/api/rooms/" + room + "/messages" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var page struct{ Messages []map[string]any }
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(body, &page) != nil {
		t.Fatalf("history: %s, %v: %.200s", response.Status, err, body)
	}
	return page.Messages
}

// runSurrogates: what is no character is the same for everybody, now and later.
func runSurrogates(t *testing.T, s *stand) {
	raw := s.dial(t, "?room=surrogates")
	raw.open()
	p, _ := s.dialV1(t, "?room=surrogates")
	for _, escape := range []string{`\ud800`, `\udc00\ud800`, `a\udfffb`} {
		p.Send(wire.Text, []byte(`{"type":"say","text":"x`+escape+`"}`))
		f := p.json("message")
		said := fmt.Sprint(f["text"])
		if !strings.Contains(said, "\ufffd") {
			t.Errorf("%s: %q, want U+FFFD", escape, said)
		}
		raw.expect(text(said))
		newest := s.history(t, "surrogates", "?limit=1")
		if len(newest) != 1 || newest[0]["text"] != said || newest[0]["seq"] != f["seq"] {
			t.Errorf("%s: live %v, in history %v", escape, f, newest)
		}
	}
}

var badNames = []string{" ", "\u200b", "\u200d\u2060", "\u3164", strings.Repeat("n", 33), strings.Repeat("n", 10_000), "a\nb", "a\u202eb", "\xff"}

func runNames(t *testing.T, s *stand) {
	for _, name := range badNames {
		p := s.dial(t, "?name="+url.QueryEscape(name), v1)
		if reason := p.refusal(); reason != "bad_name" {
			t.Errorf("%.40q: refused as %q, want bad_name", name, reason)
		}
		if name == "\xff" {
			continue // no JSON
		}
		quoted, _ := json.Marshal(name)
		errs("bad_name", `{"type":"name","name":`+string(quoted)+`}`)(t, s)
	}
	errs("bad_name", `{"type":"name","name":""}`)(t, s)
	_, hello := s.dialV1(t, "?name=")
	if you, _ := hello["you"].(map[string]any); you["name"] == "" {
		t.Errorf("%v, want a guest's name", hello)
	}
}

// refusal reads the Close frame of a refused query.
func (p *peer) refusal() string {
	p.t.Helper()
	return p.closed(1008)
}

func runTextLimit(t *testing.T, s *stand) {
	p, _ := s.dialV1(t, "?room=limit")
	for _, letter := range []string{"x", "ど"} {
		full := strings.Repeat(letter, 4096/len(letter)) + strings.Repeat("y", 4096%len(letter))
		p.Send(wire.Text, say(full))
		p.said(full)
		p.Send(wire.Text, say(full+"y"))
		p.failed("text_too_long")
	}
	p.Send(wire.Text, say(strings.Repeat("x", 65_000)))
	p.failed("text_too_long")
}

func runSpoofed(t *testing.T, s *stand) {
	p, hello := s.dialV1(t, "?room=spoof")
	you, _ := hello["you"].(map[string]any)
	p.Send(wire.Text, []byte(`{"type":"say","text":"me","from":{"id":"x","name":"root"},"seq":99,"prev":98,"at":1,"room":"doyasa","name":"root"}`))
	f := p.said("me")
	from, _ := f["from"].(map[string]any)
	if from["id"] != you["id"] || from["name"] != you["name"] || f["seq"] != 1.0 || f["prev"] != 0.0 || f["at"] == 1.0 {
		t.Errorf("%v, want the server's values, of %v", f, you)
	}
	if err := s.crowd.heardNothingLike("me"); err != nil {
		t.Error(err)
	}
}

// runBurst: the burst and then the rate come through, the rest is told off, and who does not listen is closed.
func runBurst(t *testing.T, s *stand) {
	p, _ := s.dialV1(t, "?room=burst")
	go func() {
		for i := range 10_000 {
			if p.Send(wire.Text, say(fmt.Sprint("burst ", i))) != nil {
				return
			}
		}
	}()
	delivered, limited := 0, 0
	since := time.Now()
	for {
		f, err := p.next()
		if err != nil {
			t.Fatalf("%v behind %d messages and %d errors; want Close 1008", err, delivered, limited)
		}
		var m struct {
			Type, Text, Code string
			RetryAfter       int `json:"retry_after_ms"`
		}
		json.Unmarshal(f.Payload, &m)
		switch {
		case m.Type == "message":
			delivered++
		case m.Code == "rate_limited" && m.RetryAfter > 0:
			limited++
		case f.Code() == 1008:
			most := s.timers.burst + int(time.Since(since).Seconds()+1)*s.timers.perSecond
			if delivered < s.timers.burst || delivered > most || limited < 100 {
				t.Errorf("%d delivered and %d refused, want %d to %d and about a hundred", delivered, limited, s.timers.burst, most)
			}
			return
		default:
			t.Fatalf("%v, want messages, rate_limited, and Close 1008", f)
		}
	}
}

func runOneID(t *testing.T, s *stand) {
	p, _ := s.dialV1(t, "?room=once")
	for range 10 {
		p.Send(wire.Text, []byte(`{"type":"say","id":"0199a8e2-0000-7000-8000-0000000000ff","text":"once"}`))
		if f := p.said("once"); f["seq"] != 1.0 {
			t.Errorf("%v, want the position 1", f)
		}
	}
	if kept := s.history(t, "once", ""); len(kept) != 1 {
		t.Errorf("%d messages are kept, want 1", len(kept))
	}
}
