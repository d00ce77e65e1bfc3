package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// Where things are on the page. Found by role and element, where that says enough.
const (
	seal         = `button[aria-label^="どやさ"]` // the label goes on while presses wait
	field        = `textarea`
	rowsHere     = `[role="log"] > .row`
	texts        = `[role="log"] > .row.text .words`
	waiting      = `#pending .row`
	heading      = `h1 bdi`
	status       = `[role="status"]` // the first: that of the connection
	peopleButton = `header button[aria-haspopup="dialog"]`
	peopleNames  = `dialog li bdi`
	ownButton    = `form button[aria-haspopup="dialog"]`
	ownName      = `dialog input[type="text"]`
	shouts       = `#shouts`
)

// A frame is what a text message of doyasa.v1 holds, as far as the tests look at it.
type frame struct {
	Type string `json:"type"`
	Seq  int64  `json:"seq"`
	Prev int64  `json:"prev"`
	ID   string `json:"id"`
	Text string `json:"text"`
	From struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"from"`
}

func appendFrame(frames []frame, payload []byte) []frame {
	var f frame
	if json.Unmarshal(payload, &f) != nil { // the raw form, or nothing that a server of ours sends
		f = frame{Text: string(payload)}
	}
	return append(frames, f)
}

// messages are the frames of type message that the tab has received, in order.
func (tb *tab) messages() []frame { return tb.frames(&tb.received, "message") }

// said are the frames of type say that the tab has sent, in order.
func (tb *tab) said() []frame { return tb.frames(&tb.sent, "say") }

func (tb *tab) frames(of *[]frame, kind string) []frame {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(*of), func(f frame) bool { return f.Type != kind })
}

// A row is one row of the log as a reader sees it.
type row struct {
	Who   string `json:"who"`
	Words string `json:"words"`
	Times string `json:"times"` // of folded どやさ: "×3", or "" for one
}

// readRows is the log from top to bottom without the lines between.
const readRows = `all('` + rowsHere + `').map((row) => ({
	who: row.querySelector('.who').textContent,
	words: (row.querySelector('.words') ?? row.querySelector('.cry span')).textContent,
	times: row.querySelector('.cry b')?.textContent ?? '',
}))`

func (tb *tab) rows() []row { return get[[]row](tb, readRows) }

// texts are the rows' words alone.
func (tb *tab) texts() (said []string) {
	for _, r := range tb.rows() {
		said = append(said, r.Words+r.Times)
	}
	return said
}

// quote is a string as JavaScript has it.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string always can
	return string(b)
}

// waitText waits until a row has exactly these words.
func (tb *tab) waitText(text string) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`all('%s').some((words) => words.textContent === %s)`, texts, quote(text)))
}

// waitShouts waits until the bar tells of n どやさ.
func (tb *tab) waitShouts(n int) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`one('%s').textContent === '%d'`, shouts, n))
}

// waitLive waits until the seal says that presses go out, waitOffline until it says that they wait.
func (tb *tab) waitLive() {
	tb.t.Helper()
	tb.wait(`!one('` + seal + `').classList.contains('off')`)
}

func (tb *tab) waitOffline() {
	tb.t.Helper()
	tb.wait(`one('` + seal + `').classList.contains('off')`)
}

// waitSaid waits until nothing of this tab's own is on its way any more.
func (tb *tab) waitSaid() {
	tb.t.Helper()
	tb.wait(`!one('` + waiting + `')`)
}

// click presses the mouse button in the middle of what a selector finds.
func (tb *tab) click(selector string) {
	tb.t.Helper()
	x, y := tb.middle(selector)
	tb.do(chromedp.MouseClickXY(x, y))
}

// middle is where a finger would go, provided that nothing else lies there.
func (tb *tab) middle(selector string) (x, y float64) {
	tb.t.Helper()
	at := get[[]float64](tb, fmt.Sprintf(`(() => {
		const el = one(%s);
		const box = el.getBoundingClientRect();
		const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
		return el.contains(document.elementFromPoint(x, y)) ? [x, y] : [];
	})()`, quote(selector)))
	if len(at) != 2 {
		tb.t.Fatalf("%s is covered or outside of the window", selector)
	}
	return at[0], at[1]
}

// write puts a text into the field that has the focus, at once, as a paste or an input method does.
func (tb *tab) write(text string) {
	tb.t.Helper()
	tb.do(call(input.InsertText, input.InsertTextParams{Text: text}))
}

// A key of the keyboard, by the names and numbers that pages see.
type key struct {
	name, code, char string
	number           int64
}

var (
	enter  = key{"Enter", "Enter", "\r", 13}
	space  = key{" ", "Space", " ", 32}
	tabKey = key{"Tab", "Tab", "", 9}
	escape = key{"Escape", "Escape", "", 27}
)

const shift = 8

// press presses and releases a key, as a keyboard does: the character comes behind the key, unless the page has taken the key.
func (tb *tab) press(k key, modifiers ...int64) {
	tb.t.Helper()
	event := input.DispatchKeyEventParams{Key: k.name, Code: k.code, WindowsVirtualKeyCode: k.number, NativeVirtualKeyCode: k.number}
	for _, m := range modifiers {
		event.Modifiers |= m
	}
	down, char, up := event, event, event
	down.Type, char.Type, up.Type = input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeChar, input.DispatchKeyEventTypeKeyUp
	char.Text = k.char
	tb.do(call(input.DispatchKeyEvent, down))
	if k.char != "" {
		tb.do(call(input.DispatchKeyEvent, char))
	}
	tb.do(call(input.DispatchKeyEvent, up))
}

// say types a text into the line and sends it with Enter.
func (tb *tab) say(text string) {
	tb.t.Helper()
	tb.do(chromedp.Focus(chromedp.CSS(field)))
	tb.write(text)
	tb.press(enter)
}

// post says a text over HTTP.
func post(t *testing.T, s *doyasa.Server, room, name, text string) {
	t.Helper()
	address := fmt.Sprintf("http://%s/api/rooms/%s/messages?name=%s", s.Addr, url.PathEscape(room), url.QueryEscape(name))
	response, err := http.Post(address, "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode/100 != 2 {
		t.Fatalf("POST %q: %s %s", text, response.Status, body)
	}
}

// history is what the server keeps of a room.
func history(t *testing.T, s *doyasa.Server, room string) []frame {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://%s/api/rooms/%s/messages?limit=200", s.Addr, url.PathEscape(room)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Messages []frame }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Messages
}

// dial joins a room from outside of the browser; without a subprotocol, in the raw form.
func dial(t *testing.T, s *doyasa.Server, room, name string, subprotocols ...string) *websocket.Conn {
	t.Helper()
	address := fmt.Sprintf("ws://%s/websocket?room=%s&name=%s", s.Addr, url.QueryEscape(room), url.QueryEscape(name))
	c, _, err := websocket.Dial(context.Background(), address, &websocket.DialOptions{Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	go func() { // until the end of c; what the room says is of no interest here
		for err := error(nil); err == nil; {
			_, _, err = c.Read(context.Background())
		}
	}()
	return c
}

// send sends a text message.
func send(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
