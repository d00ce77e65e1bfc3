package browser_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/doyasa/doyasa/e2e/doyasa"
)

// An axNode is one thing as a screen reader has it.
type axNode struct {
	role, name string
	properties map[string]string
	element    string // its tag, id and class, for findings
	parent     *axNode
}

func (n *axNode) String() string { return fmt.Sprintf("%s %q <%s>", n.role, n.name, n.element) }

// within tells whether a node of a role is around n, or is n itself.
func (n *axNode) within(role string) bool {
	return n != nil && (n.role == role || n.parent.within(role))
}

// axTree is the page's accessibility tree, in reading order, without what is left out of it.
func (tb *tab) axTree() (nodes []*axNode) {
	tb.t.Helper()
	answer, err := chromedp.Call(tb.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		tb.t.Fatal(err)
	}
	text := func(v *accessibility.Value) (s string) {
		if v == nil {
			return ""
		}
		if json.Unmarshal(v.Value, &s) != nil {
			return string(v.Value)
		}
		return s
	}
	byID := map[accessibility.NodeID]*axNode{}
	for _, from := range answer.Nodes {
		n := &axNode{role: text(from.Role), name: strings.TrimSpace(text(from.Name)), properties: map[string]string{}, parent: byID[from.ParentID]}
		byID[from.NodeID] = n
		if from.Ignored {
			continue
		}
		for _, p := range from.Properties {
			n.properties[p.Name.String()] = text(p.Value)
		}
		if d, err := chromedp.Call(tb.ctx, dom.DescribeNode, dom.DescribeNodeParams{BackendNodeID: from.BackendDOMNodeID}); err == nil {
			n.element = strings.ToLower(d.Node.NodeName) + " " + strings.Join(d.Node.Attributes, " ")
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// interactive are the roles of what can be pressed, typed into or chosen, and so must have a name.
var interactive = []string{"button", "link", "textbox", "radio", "checkbox", "combobox", "slider", "tab", "menuitem", "DisclosureTriangle", "switch"}

// parts are the roles of what holds others, and tells by its name what they are.
var parts = []string{"main", "dialog", "radiogroup", "image", "img"}

// audit fails the test for every finding in the accessibility tree and in the document.
func (tb *tab) audit(when string) {
	tb.t.Helper()
	found := map[string]int{}
	headings, pressable := 0, 0
	for _, n := range tb.axTree() {
		found[n.role]++
		if slices.Contains(interactive, n.role) {
			pressable++
		}
		focusable := n.properties["focusable"] == "true" && n.role != "RootWebArea"
		if (slices.Contains(interactive, n.role) || slices.Contains(parts, n.role) || focusable) && n.name == "" {
			tb.t.Errorf("%s: %v has no name", when, n)
		}
		if focusable && slices.Contains([]string{"", "none", "generic"}, n.role) {
			tb.t.Errorf("%s: %v can have the focus, but has no role", when, n)
		}
		if n.role == "heading" {
			headings++
			level, want := n.properties["level"], "2"
			if headings == 1 && !n.within("dialog") {
				want = "1"
			}
			if level != want || n.name == "" {
				tb.t.Errorf("%s: heading %d is %v of level %s, want %s", when, headings, n, level, want)
			}
		}
	}
	if pressable < 6 || headings < 1 {
		tb.t.Errorf("%s: only %d things to press and %d headings were found", when, pressable, headings)
	}
	modal := get[bool](tb, `!!one('dialog[open]')`)
	for role, want := range map[string]int{"main": 1, "log": 1, "banner": 1, "contentinfo": 1, "dialog": 0} {
		if modal {
			want = map[string]int{"dialog": 1}[role]
		}
		if found[role] != want {
			tb.t.Errorf("%s: %d of role %s, want %d", when, found[role], role, want)
		}
	}
	if !modal && found["status"] < 1 {
		tb.t.Errorf("%s: nothing has the role status", when)
	}
	for _, finding := range get[[]string](tb, documentAudit) {
		tb.t.Errorf("%s: %s", when, finding)
	}
}

// documentAudit finds what the tree does not show: ids given twice, references that lead nowhere, and focus that goes another way than
// the eye. In a row it goes by where things begin, between rows from top to bottom.
const documentAudit = `(() => {
	const findings = [];
	const ids = all('[id]').map((el) => el.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) findings.push('the id ' + id + ' is given twice');
	for (const name of ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for', 'href'])
		for (const el of all('[' + name + ']')) for (const id of el.getAttribute(name).split(' '))
			if ((name !== 'href' || id.startsWith('#')) && !ids.includes(id.replace('#', ''))) findings.push(name + ' leads to ' + id + ', which is nowhere');
	if (!document.documentElement.lang || !document.title) findings.push('no language or no title');
	if (all('[tabindex]').some((el) => el.tabIndex > 0)) findings.push('a positive tabindex');
	const scope = one('dialog[open]') ?? document;
	const stops = [...scope.querySelectorAll('a[href], button, input, textarea, summary, [tabindex="0"]')].filter((el) =>
		!el.disabled && el.tabIndex >= 0 && el.checkVisibility({ visibilityProperty: true }) && !el.matches('.skip, .close, main'));
	let before = null;
	for (const el of stops) {
		const box = el.getBoundingClientRect();
		const follows = !before || box.top >= before.bottom - 1 || box.left >= before.left - 1;
		if (!follows && !el.closest('[role="log"]')) findings.push('the focus goes back to ' + el.outerHTML.slice(0, 80));
		before = box;
	}
	return findings;
})()`

// contrasts measures every text that is seen: its colour on the ground that lies behind it, as WCAG 2.2 counts. Colours are painted to
// be read, so that it does not matter how they were written.
const contrasts = `(() => {
	const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
	const rgb = (colour) => {
		context.clearRect(0, 0, 1, 1);
		context.fillStyle = colour;
		context.fillRect(0, 0, 1, 1);
		return [...context.getImageData(0, 0, 1, 1).data];
	};
	const luminance = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ratio = (a, b) => {
		const [low, high] = [luminance(rgb(a)), luminance(rgb(b))].sort((x, y) => x - y);
		return (high + 0.05) / (low + 0.05);
	};
	const ground = (el) => {
		for (let at = el; at; at = at.parentElement) {
			const colour = getComputedStyle(at).backgroundColor;
			if (rgb(colour)[3] === 255) return colour;
		}
		return 'white';
	};
	const measured = {};
	for (const el of all('body *')) {
		const own = [...el.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
		const drawn = el.localName === 'svg' && el.closest('button:enabled') && !el.closest('#seal');
		if ((!own && !drawn) || !el.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || el.closest('#stage')) continue;
		const { color } = getComputedStyle(el);
		if (rgb(color)[3] === 0) continue; // a time that is seen only where one looks, in the colour of the others
		measured[color + ' on ' + ground(el)] = [ratio(color, ground(el)), drawn ? 3 : 4.5, el.outerHTML.slice(0, 90)];
	}
	const field = one('textarea');
	const { color } = getComputedStyle(field, '::placeholder');
	measured['placeholder'] = [ratio(color, ground(field)), 4.5, color];
	return Object.entries(measured).map(([pair, [ratio, least, where]]) => ({ pair, ratio, least, where }));
})()`

type contrast struct {
	Pair         string
	Ratio, Least float64
	Where        string
}

// wantContrast fails the test for every pair of colours that is too faint.
func (tb *tab) wantContrast(when string) (pairs int) {
	tb.t.Helper()
	measured := get[[]contrast](tb, contrasts)
	for _, c := range measured {
		if c.Ratio < c.Least {
			tb.t.Errorf("%s: %s has a contrast of %.2f, want %.1f: %s", when, c.Pair, c.Ratio, c.Least, c.Where)
		}
	}
	return len(measured)
}

// TestAccessibility audits the page in every state that it has: names, roles, headings, ids, focus order, and the contrast of all that
// is written, on light paper and on dark.
func TestAccessibility(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) {
			s := doyasa.Start(t, "--limits-messages-per-second", "0")
			l := newLine(t, s.Addr)
			tb := newTab(t, browser, nil)
			tb.do(call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
				call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
				}))
			tb.visit("http://" + l.addr + "/")
			tb.waitLive()
			look := func(when string, least int) {
				tb.audit(when)
				if pairs := tb.wantContrast(when); pairs < least {
					t.Errorf("%s: only %d pairs of colours were found", when, pairs)
				}
			}
			look("an empty room", 4)
			for n := range 40 { // all hues, most likely
				post(t, s, "doyasa", fmt.Sprint("客", n), fmt.Sprint("見て https://example.org/", n))
			}
			post(t, s, "doyasa", "長", strings.Repeat("長いはなし\n", 40))
			for _, name := range []string{"一", "二"} {
				post(t, s, "doyasa", name, "どやさ")
			}
			tb.say("自分から")
			tb.waitText("自分から")
			tb.waitSaid()
			tb.wait(`one('summary')`)
			look("a full room", 8)
			get[any](tb, `all('summary').at(-1).click()`)
			tb.wait(`one('.tally li')`)
			get[any](tb, `one('main').scrollTo(0, 0)`)
			tb.wait(`one('#pill').checkVisibility()`)
			look("scrolled back", 8)
			tb.click(peopleButton)
			tb.wait(`one('dialog').open`)
			look("the panel", 8)
			tb.do(chromedp.Focus(chromedp.CSS(ownName)))
			get[any](tb, `one('`+ownName+`').select()`)
			tb.write("\u200b")
			tb.press(enter)
			tb.wait(`one('#nameHint').classList.contains('bad')`)
			look("a name that cannot be", 8)
			tb.press(escape)
			l.cut(true, true)
			l.drop()
			tb.say("つながったら")
			tb.click(seal)
			tb.wait(`one('#status').classList.contains('shown') && one('` + waiting + `')`)
			look("offline", 8)
		})
	}
}

// recordVoice notes every element that comes into the log while it is read out, and every one that comes while it is not.
const recordVoice = `window.spoken = []; window.silent = []; addEventListener('DOMContentLoaded', () => {
	const log = document.querySelector('[role="log"]');
	new MutationObserver((changes) => {
		for (const { addedNodes } of changes) for (const node of addedNodes) {
			const words = node.querySelector?.('.words')?.textContent;
			if (words) (log.ariaLive === 'off' ? silent : spoken).push(words);
		}
	}).observe(log, { childList: true });
});`

// TestReadOut listens as a screen reader does: each message is announced once, by being added to the log; history, what is caught up
// with, and everything while one reads further up is not.
func TestReadOut(t *testing.T) {
	doyasa.Long(t)
	browser := newChromium(t, "")
	s := doyasa.Start(t, "--limits-messages-per-second", "0")
	l := newLine(t, s.Addr)
	for n := range 120 {
		post(t, s, "doyasa", "さくら", fmt.Sprint("以前 ", n))
	}
	tb := openAt(t, browser, l.addr, "/", recordVoice)
	tb.waitText("以前 119")
	const speaks = `one('[role="log"]').ariaLive === 'polite'`
	tb.wait(speaks)
	said := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			post(t, s, "doyasa", "さくら", text)
			tb.waitText(text)
		}
	}
	said("一", "二", "三")
	tb.say("自分の")
	tb.waitText("自分の")
	tb.waitSaid()
	want := []string{"一", "二", "三", "自分の"}
	check := func(when string) {
		t.Helper()
		if spoken := get[[]string](tb, `spoken`); !slices.Equal(spoken, want) {
			t.Errorf("%s: announced %q, want %q", when, spoken, want)
		}
	}
	check("news")
	if relevant := get[string](tb, `one('[role="log"]').getAttribute('aria-relevant')`); relevant != "additions" {
		t.Errorf("aria-relevant is %q", relevant)
	}

	get[any](tb, `one('main').scrollTo(0, 0)`)
	tb.wait(`one('[role="log"]').ariaLive === 'off'`)
	post(t, s, "doyasa", "さくら", "上を読む間")
	tb.wait(`one('#pill').textContent === '新着 1 件'`)
	tb.waitText("以前 0") // older ones were loaded
	check("further up")
	tb.click(`#pill`)
	tb.waitText("上を読む間")
	tb.wait(speaks)
	check("back at the newest")

	l.cut(true, true)
	l.drop()
	tb.waitOffline()
	for n := range 10 {
		post(t, s, "doyasa", "さくら", fmt.Sprint("留守 ", n))
	}
	l.heal()
	tb.waitText("留守 9")
	tb.wait(speaks)
	check("caught up")
	tb.click(peopleButton)
	tb.click(`input[value="en"]`)
	tb.press(escape)
	tb.wait(speaks)
	check("in another language")
	said("四")
	want = append(want, "四")
	check("news again")
	if silent := get[[]string](tb, `silent`); !slices.Contains(silent, "以前 119") || !slices.Contains(silent, "留守 9") {
		t.Errorf("what was not announced: %q", silent)
	}
}
