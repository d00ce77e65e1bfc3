package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// talk is a conversation for pictures, by speaker.
var talk = [][2]string{
	{"さくら", "おはよう。もうみんないる?"},
	{"Kenji", "Morning! Two tabs here, one on the phone."},
	{"みどり", "駅前のたい焼き、今日は焼きたてでした。尻尾まであんこ入り。"},
	{"みどり", "写真はあとで。まず食べます"},
	{"Alice", "Jealous. Save me one?"},
	{"さくら", "それは…"},
	{"みどり", "どやさ"}, {"さくら", "どやさどやさ"}, {"太郎", "どやさ"}, {"Kenji", "どやさどやさどやさ"}, {"みどり", "どやさどやさ"},
	{"Alice", "どやさ"}, {"太郎", "どやさどやさ"}, {"さくら", "どやさ"},
	{"太郎", "いま来た。何があったの?"},
	{"Alice", "I have no idea, but I pressed it too."},
	{"Kenji", "The deploy went through. Nobody noticed, which is the point: https://example.org/notes"},
	{"さくら", "気づかなかった!"},
	{"太郎", "どやさ"},
	{"みどり", "今のは誰が褒められたの?"},
}

// A cast is people in a room who speak when they are told to.
type cast map[string]*websocket.Conn

func newCast(t *testing.T, s *doyasa.Server, room string) cast {
	c := cast{}
	for _, name := range []string{"さくら", "Kenji", "みどり", "Alice", "太郎"} {
		c[name] = dial(t, s, room, name, "doyasa.v1")
	}
	return c
}

// says sends a text as one of the cast.
func (c cast) says(t *testing.T, name, text string) {
	t.Helper()
	b, _ := json.Marshal(map[string]string{"type": "say", "text": text}) // strings always can
	send(t, c[name], string(b))
}

// lasting lets what appears on the stage stay until a picture is taken of it, and it is cleared.
const lasting = `window.ends = []; {
	const later = window.setTimeout;
	window.setTimeout = (action, wait, ...more) => (wait === 900 ? ends.push(action) : later(action, wait, ...more));
}`

// clear ends what is on the stage.
func (tb *tab) clear() {
	tb.t.Helper()
	get[any](tb, `document.getAnimations().forEach((a) => a.finish()), ends.splice(0).forEach((end) => end())`)
}

// still stops what moves in a tab, after so many milliseconds of its movement.
func (tb *tab) still(after int) {
	tb.t.Helper()
	get[any](tb, fmt.Sprintf(`document.getAnimations().forEach((a) => { a.pause(); a.currentTime = %d; })`, after))
}

// shout has the cast press n times, and stops a tab while all of it is seen.
func (c cast) shout(t *testing.T, n int, tb *tab) {
	t.Helper()
	for i := range n {
		name := []string{"さくら", "みどり", "太郎", "Alice", "Kenji"}[i%5]
		c.says(t, name, strings.Repeat("どやさ", []int{1, 3, 2, 5}[i%4]))
	}
	tb.wait(fmt.Sprintf(`all('.stamp').length >= %d`, min(n, 10)))
	tb.still(200)
}

// A studio takes pictures of the page, with nothing in it that moves.
type studio struct {
	t       *testing.T
	browser context.Context
	server  *doyasa.Server
	folder  string
}

// newStudio skips the test unless DOYASA_SHOTS names a folder for pictures.
func newStudio(t *testing.T, args ...string) *studio {
	folder := os.Getenv("DOYASA_SHOTS")
	if folder == "" {
		t.Skip("DOYASA_SHOTS names no folder for pictures")
	}
	browser := newChromium(t, "")
	return &studio{t, browser, doyasa.Start(t, append(args, "--limits-messages-per-second", "0")...), folder}
}

// save writes a picture, which must be small enough for a repository.
func (st *studio) save(name string, picture image.Image) {
	st.t.Helper()
	path := filepath.Join(st.folder, name+".png")
	f, err := os.Create(path)
	if err != nil {
		st.t.Fatal(err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(f, fewColours(picture)); err != nil {
		st.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		st.t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 150_000 {
		st.t.Errorf("%s: %v, %d bytes; want at most 150,000", path, err, info.Size())
	}
}

// visitor is a tab with a name, a language and a paper of its own, at a path of an address.
func (st *studio) visitor(addr, path, name, language, theme string, shape func(*tab)) *tab {
	st.t.Helper()
	own, cancel := chromedp.NewContext(st.browser, chromedp.WithNewBrowserContext())
	st.t.Cleanup(cancel)
	if err := chromedp.Do(own); err != nil {
		st.t.Fatal(err)
	}
	tb := newTab(st.t, own, nil, fmt.Sprintf(`localStorage.setItem('doyasa.name', %q); localStorage.setItem('doyasa.language', '"%s"');`,
		quote(name), language), lasting)
	tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		}))
	shape(tb)
	tb.visit("http://" + addr + path)
	tb.waitLive()
	return tb
}

func size(width, height int64) func(*tab) {
	return func(tb *tab) { tb.do(chromedp.EmulateViewport(width, height)) }
}

func phone(tb *tab) { tb.phone(390, 844) }

// TestShots takes pictures for people to look at, into the folder DOYASA_SHOTS.
func TestShots(t *testing.T) {
	st := newStudio(t)
	s, save := st.server, st.save
	visitor := func(path, name, language, theme string, shape func(*tab)) *tab {
		return st.visitor(s.Addr, path, name, language, theme, shape)
	}
	empty := visitor("/r/ひろば", "さくら", "ja", "light", size(1280, 800))
	save("empty", empty.shot())
	emptyPhone := visitor("/r/lobby", "Kenji", "en", "light", phone)
	save("empty-phone", emptyPhone.shot())

	people := newCast(t, s, "doyasa")
	wide := visitor("/", "はなこ", "ja", "light", size(1280, 800))
	dark := visitor("/", "Grace", "en", "dark", size(1280, 800))
	small := visitor("/", "はなこ", "ja", "light", phone)
	left := visitor("/", "さくら", "ja", "light", size(640, 560))
	right := visitor("/", "Kenji", "en", "light", size(640, 560))
	for _, line := range talk {
		people.says(t, line[0], line[1])
		small.wait(fmt.Sprintf(`one('main').innerText.includes(%s)`, quote(line[1][:3])))
	}
	wide.say("たい焼きが。")
	for _, tb := range []*tab{wide, dark, small, left, right} {
		tb.waitText("たい焼きが。")
		tb.waitSaid()
	}
	for _, picture := range []struct {
		name string
		tb   *tab
	}{{"wide", wide}, {"dark", dark}, {"phone", small}} {
		picture.tb.clear()
		people.shout(t, 5, picture.tb)
		save(picture.name, picture.tb.shot())
	}
	for _, tb := range []*tab{left, right} {
		tb.waitSaid()
		tb.clear()
	}
	var reel film
	reel.add(120, sideBySide(left.shot(), right.shot()))
	for _, pressed := range []*tab{left, right} {
		pressed.click(seal)
		for _, tb := range []*tab{left, right} {
			tb.wait(`one('.stamp')`)
			tb.waitSaid()
		}
		for _, at := range []int{20, 70, 120, 190, 280, 400, 540, 700, 880} {
			left.still(at)
			right.still(at)
			reel.add(map[bool]int{true: 5, false: 9}[at < 120], sideBySide(left.shot(), right.shot()))
		}
		for _, tb := range []*tab{left, right} {
			tb.clear()
			get[any](tb, `one('#streak').hidden = true`)
		}
		reel.add(160, sideBySide(left.shot(), right.shot()))
	}
	reel.save(t, filepath.Join(st.folder, "tabs.gif"))

	wide.clear()
	// Each of the first ones is waited for, so that everybody is on the stage and not the fastest alone.
	for n := range 36 {
		people.says(t, []string{"さくら", "みどり", "太郎", "Alice", "Kenji"}[n%5], strings.Repeat("どやさ", []int{1, 3, 1, 2, 1, 5}[n%6]))
		wide.wait(fmt.Sprintf(`all('.stamp').length > %d`, n))
	}
	people.shout(t, 160, wide)
	wide.wait(`one('.burst')`)
	wide.still(200)
	save("burst", wide.shot())
	wide.clear()
	wide.click(peopleButton)
	wide.wait(`one('dialog').open`)
	save("panel", wide.shot())
	wide.press(escape)

	s.Terminate()
	s.Wait(patience)
	for _, tb := range []*tab{wide, small} {
		tb.waitOffline()
		get[any](tb, `all('[aria-hidden] > span').forEach((seen) => seen.remove())`)
		tb.do(chromedp.Focus(chromedp.CSS(field)))
		tb.write("つながったら読んで")
		tb.click(`button[type="submit"]`)
		tb.click(seal)
		tb.wait(`one('` + status + `').textContent !== ''`)
	}
	save("offline", wide.shot())
	save("offline-phone", small.shot())
}

// TestShotsOfTrouble takes pictures of what is rare, into the folder DOYASA_SHOTS: what was lost, what does not fit, too many people.
func TestShotsOfTrouble(t *testing.T) {
	const lastWords = "שלום עולם, zalgo: z\u0300\u0316\u0336\u0300\u0316\u0336\u0300\u0316\u0336 👨‍👩‍👧‍👦🇯🇵"
	st := newStudio(t, "--history-messages", "24")
	s := st.server
	l := newLine(t, s.Addr)
	desk := st.visitor(l.addr, "/", "はなこ", "ja", "light", size(1280, 800))
	pocket := st.visitor(l.addr, "/", "Grace", "en", "dark", phone)
	both := []*tab{desk, pocket}
	for _, tb := range both {
		tb.say("少し出かけます")
		tb.waitText("少し出かけます")
		tb.waitSaid()
	}
	l.cut(true, true)
	l.drop()
	for n := range 40 {
		post(t, s, "doyasa", "みどり", fmt.Sprint("誰も見ていないあいだの話 ", n))
	}
	for _, line := range [][2]string{
		{"さくら", "おかえり。いないあいだに、たい焼き屋の話で盛り上がって、結局みんなで食べに行くことになりました。" + strings.Repeat("行列はとても長い。", 14)},
		{"Kenji", "What he said. Bring the receipts: https://example.org/" + strings.Repeat("a-path-without-an-end/", 6) + " and https://example.org/menu"},
		{"Alice", strings.Repeat("one line\n", 20) + "and one more"},
		{"太郎", lastWords},
	} {
		post(t, s, "doyasa", line[0], line[1])
	}
	l.heal()
	for _, tb := range both {
		tb.waitLive()
		tb.wait(`all('[role="log"] .note').length > 0 && !all('[role="log"] .note button').length`)
		get[any](tb, `one('[role="log"] .note').scrollIntoView({ block: 'center' })`)
		tb.wait(`one('#pill').checkVisibility()`)
	}
	st.save("lost", desk.shot())
	st.save("lost-phone", pocket.shot())
	for _, tb := range both {
		tb.click(`#pill`)
		tb.wait(atBottom)
	}
	st.save("long", desk.shot())
	st.save("long-phone", pocket.shot())

	for n := range 40 {
		dial(t, s, "doyasa", fmt.Sprint([]string{"さくら", "Guest", "とても長い名前の人です", "Kenji"}[n%4], n))
	}
	for _, tb := range both {
		tb.wait(`one('#people').textContent.startsWith('42')`)
	}
	for _, tb := range both {
		for range 7 {
			tb.click(seal)
		}
		tb.wait(`!one('#streak').hidden`)
		tb.still(200)
		st.save("streak-"+get[string](tb, `document.documentElement.lang`), tb.shot())
		tb.clear()
		tb.click(peopleButton)
		tb.wait(`one('dialog').open`)
		st.save("many-"+get[string](tb, `document.documentElement.lang`), tb.shot())
		tb.press(escape)
	}
	tablet := st.visitor(s.Addr, "/", "Grace", "en", "light", size(820, 1100))
	st.save("tablet", tablet.shot())
	st.save("sideways", st.visitor(s.Addr, "/", "Grace", "en", "light", func(tb *tab) { tb.phone(844, 390) }).shot())
	tablet.visit("http://" + s.Addr + "/r/a%20b")
	tablet.wait(`one('` + status + `').textContent !== ''`)
	st.save("refused", tablet.shot())
}
