// Connects the modules: passes what each module reports to the others.

import { watchAttention } from './attention.js';
import { createComposer } from './composer.js';
import { createConnection } from './connection.js';
import { put } from './dom.js';
import { chooseLanguage, Words } from './i18n.js';
import { watchKeyboard } from './keyboard.js';
import { createList } from './list.js';
import { arrive, channel, leave, Memory } from './memory.js';
import { createName } from './name.js';
import { createOutbox } from './outbox.js';
import { createPanel } from './panel.js';
import { createPending } from './pending.js';
import { createPresses } from './presses.js';
import { historyURL, roomFromPath, socketURL, SUBPROTOCOL } from './protocol.js';
import { createRows } from './rows.js';
import { createSeal } from './seal.js';
import { createSound } from './sound.js';
import { createStage } from './stage.js';
import { createStatus } from './status.js';
import { createStore } from './store.js';
import { countShouts } from './text.js';

const HISTORY = 50; // messages of history that a newcomer asks for
const PATIENCE = 10_000; // ms after which a request for a page of history is given up

// Measures intervals. Date.now() would jump when the reader's clock is set. This clock may stop while the machine sleeps; see
// connection.wake.
const clock = { now: () => performance.now(), setTimeout: (f, ms) => setTimeout(f, ms), clearTimeout: (timer) => clearTimeout(timer) };
const tab = new Memory(() => sessionStorage);
const browser = new Memory(() => localStorage);
const wanted = roomFromPath(location.pathname);
const ofRoom = (key) => `${key}.${wanted}`;
const tabs = channel();
const isSameTab = arrive(tab);
let session = isSameTab ? tab.get(ofRoom('session')) : null;
let read = isSameTab ? tab.get(ofRoom('read')) : null;

// The state of the room and the connection to the server.

const store = createStore({
	async fetchPage(page) {
		const given = new AbortController();
		clock.setTimeout(() => given.abort(), PATIENCE);
		const answer = await fetch(historyURL(store.room, page), { signal: given.signal });
		if (!answer.ok) throw new Error(`history: HTTP ${answer.status}`);
		return answer.json();
	},
	changed: () => show(),
	onMessage: arrived,
	onHello() {
		tab.set(ofRoom('session'), (session = store.session));
		if (read?.epoch === store.epoch) store.timeline.mark = { era: store.timeline.era, seq: read.seq };
		read = null;
		name.hello();
	},
});

const connection = createConnection({
	open() {
		const { epoch, last: after } = store;
		const query = { room: wanted, name: name.chosen(), session, epoch, after, history: HISTORY };
		return new WebSocket(socketURL(location, query), SUBPROTOCOL);
	},
	onFrame(frame) {
		if (frame.type === 'error') refused(frame);
		else store.frame(frame);
	},
	clock,
	onState(state) {
		// Messages are not sent while catching up, because the answer to a retry could arrive before older messages.
		if (state.phase === 'live') {
			name.use();
			outbox.opened(store.limits);
		} else outbox.closed();
		if (state.phase === 'refused' && state.reason === 'bad_name') name.refused('bad_name'); // connecting keeps the reason
		status.show(state);
		show();
	},
});
const isLive = () => connection.state.phase === 'live' || connection.state.phase === 'catching';

const outbox = createOutbox({
	send: connection.send,
	keep: (entries) => tab.set(ofRoom('outbox'), entries.length ? entries : null),
	saved: tab.get(ofRoom('outbox')),
	changed: () => show(),
	doubt: connection.wake,
	clock,
});
const name = createName({ memory: browser, store, send: connection.send, changed: () => show(), clock });
const presses = createPresses(outbox.press, clock);

/**
 * A tab that is duplicated while it is hidden finds the note of leave(), so the copy would claim the session of the original. The original
 * answers the claim, and the copy becomes a new member.
 */
function meetTwin() {
	const claimed = session;
	tabs?.addEventListener('message', ({ data: { claims, has } }) => {
		if (claims && claims === session) tabs.postMessage({ has: session });
		if (!claimed || has !== claimed) return;
		session = null;
		connection.tryNow();
	});
	tabs?.postMessage({ claims: session });
}

// What the reader sees and hears.

const el = new Proxy({}, { get: (_, id) => document.getElementById(id) });
const words = new Words(browser.get('language') ?? chooseLanguage(navigator.languages));
const page = { el, words, store };
const rows = createRows(page);
const attention = watchAttention(page);
const list = createList({ ...page, rows, isCalm: () => connection.state.phase === 'live', onStick: attention.place });
const pending = createPending({ ...page, outbox, rows, isLive, edit: (text) => composer.edit(text) });
const stage = createStage(page);
const sound = createSound(tabs);
const status = createStatus({ ...page, clock, tryNow: connection.tryNow });
const seal = createSeal({
	...page,
	press() {
		presses.press();
		stage.shout(store.you.id, 1);
		sound.lead();
		sound.ring(store.you.id);
	},
});
const composer = createComposer({
	...page,
	limit: () => store.limits.text_bytes,
	draft: tab.get(ofRoom('draft')),
	keep: (draft) => tab.set(ofRoom('draft'), draft),
	say(text) {
		const code = outbox.say(text);
		if (!code) list.toNewest();
		return code;
	},
});

const apply = {
	language: (value) => words.use(value),
	theme: (value) => (document.documentElement.dataset.theme = value),
	enter: (value) => composer.sendWithCtrl(value === 'ctrl'),
	sound: (value) => sound.setVolume(Number(value)),
};
const panel = createPanel({
	...page,
	chosen: (key) => (key === 'language' ? words.language : browser.get(key)),
	rename: name.choose,
	choose(key, value) {
		browser.set(key, value);
		apply[key](value);
		if (key === 'sound') sound.ring(store.you.id);
	},
});

let isDue = false;

/** Draws the page again, at most once per frame. */
function show() {
	attention.show(store.room ? `${store.room} · ${words.t('app')}` : words.t('app'));
	if (isDue) return;
	isDue = true;
	requestAnimationFrame(() => {
		isDue = false;
		draw();
	});
}

function draw() {
	const { waiting, isPaused } = outbox;
	seal.show({ live: isLive(), waiting, cooling: waiting > 0 && isPaused });
	pending.sync();
	list.sync();
	panel.showPeople();
	put(el.shouts, words.number(store.shouts));
	put(el.people, store.people.count ? words.count('people', store.people.count) : '');
	put(el.room, store.room || wanted);
	put(el.meName, store.you.name);
	el.me.setAttribute('aria-label', words.t('composer.name', { name: store.you.name }));
	el.empty.hidden = store.last !== 0 || store.timeline.items.length > 0 || outbox.entries.length > 0;
	document.body.classList.toggle('away', !isLive());
}

// Events.

function arrived(message, isNews) {
	const own = outbox.answered(message.id);
	const n = countShouts(message.text);
	// The reader's own presses were shown and heard when they were made. Shouts that were missed and come while catching up are only counted.
	if (!isNews || !n || own?.shouts || connection.state.phase !== 'live') return;
	const sender = message.from.id || message.from.name;
	stage.shout(sender, n);
	sound.ring(sender);
}

function refused({ code, id, retry_after_ms: retryAfter }) {
	if (!id && name.refused(code, retryAfter)) el.hint.textContent = words.t('error.bad_name');
	else outbox.refused(id, code, retryAfter);
}

words.onChange(() => {
	words.translate(document);
	list.rebuild();
	pending.rebuild();
	status.draw();
	show();
});

addEventListener('online', connection.wake);
addEventListener('offline', () => {
	if (isLive()) connection.wake();
	status.draw();
});
/** The browser may end a hidden tab without notice, so everything that the tab needs after a reload is stored now. */
function depart() {
	presses.flush();
	leave(tab);
	if (store.epoch) tab.set(ofRoom('read'), { epoch: store.epoch, seq: attention.read() });
}

document.addEventListener('visibilitychange', () => {
	if (document.visibilityState !== 'visible') return depart();
	arrive(tab);
	connection.wake();
});
addEventListener('pagehide', () => {
	depart();
	connection.stop();
});
addEventListener('pageshow', (event) => {
	if (!event.persisted) return;
	arrive(tab);
	connection.tryNow();
});
addEventListener('storage', () => {
	name.use();
	apply.theme(browser.get('theme'));
});

watchKeyboard(window.visualViewport);
words.translate(document);
for (const key of ['theme', 'enter', 'sound']) apply[key](browser.get(key));
connection.tryNow();
meetTwin();
window.isRunning = true; // see early.js
