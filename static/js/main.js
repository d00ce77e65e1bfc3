// Wiring: who hears of what. Everything that has a reason of its own lives in its module.

import { watchAttention } from './attention.js';
import { createComposer } from './composer.js';
import { createConnection } from './connection.js';
import { chooseLanguage, Words } from './i18n.js';
import { watchKeyboard } from './keyboard.js';
import { createList } from './list.js';
import { arrive, channel, leave, Memory } from './memory.js';
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

const HISTORY = 50; // messages asked for by a newcomer
const PATIENCE = 10_000; // ms for a page of history

// Handed to those who are tested without waiting.
const clock = { now: () => Date.now(), setTimeout: (f, ms) => setTimeout(f, ms), clearTimeout: (timer) => clearTimeout(timer) };
const tab = new Memory(() => sessionStorage);
const browser = new Memory(() => localStorage);
const wanted = roomFromPath(location.pathname);
const ofRoom = (key) => `${key}.${wanted}`;
const tabs = channel();
const isSameTab = arrive(tab);
let session = isSameTab ? tab.get(ofRoom('session')) : null;
let read = isSameTab ? tab.get(ofRoom('read')) : null;

// What is known, and the line to the room.

const store = createStore({
	async fetchPage(page) {
		const answer = await fetch(historyURL(store.room, page), { signal: AbortSignal.timeout(PATIENCE) });
		if (!answer.ok) throw new Error(`history: HTTP ${answer.status}`);
		return answer.json();
	},
	changed: () => show(),
	onMessage: arrived,
	onHello() {
		tab.set(ofRoom('session'), (session = store.session));
		if (read?.epoch === store.epoch) store.timeline.mark = { era: store.timeline.era, seq: read.seq };
		read = null;
	},
});

const connection = createConnection({
	open() {
		const { epoch, last: after } = store;
		const query = { room: wanted, name: browser.get('name'), session, epoch, after, history: HISTORY };
		return new WebSocket(socketURL(location, query), SUBPROTOCOL);
	},
	onFrame(frame) {
		if (frame.type === 'error') refused(frame);
		else store.frame(frame);
	},
	clock,
	onState(state) {
		// Not while catching up: the answer to a retry could overtake what is still owed.
		if (state.phase === 'live') outbox.opened(store.limits);
		else outbox.closed();
		if (state.reason === 'bad_name') browser.set('name', null);
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
const presses = createPresses(outbox.press, clock);

/** A tab duplicated while out of sight takes itself for the other (see arrive), which knows better. */
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

// What is seen and heard.

const el = new Proxy({}, { get: (_, id) => document.getElementById(id) });
const words = new Words(browser.get('language') ?? chooseLanguage(navigator.languages));
const page = { el, words, store };
const rows = createRows(page);
const attention = watchAttention(page);
const list = createList({ ...page, rows, isCalm: () => connection.state.phase === 'live', onStick: attention.place });
const pending = createPending({ ...page, outbox, rows, isLive });
const stage = createStage(page);
const sound = createSound(tabs);
const status = createStatus({ ...page, tryNow: connection.tryNow });
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
	rename(name) {
		browser.set('name', name);
		renamed(name);
	},
	choose(key, value) {
		browser.set(key, value);
		apply[key](value);
		if (key === 'sound') sound.ring(store.you.id);
	},
});

let isDue = false;

/** Brings what is seen up to date, once per frame. */
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
	el.shouts.textContent = words.number(store.shouts);
	el.people.textContent = store.people.count ? words.count('people', store.people.count) : '';
	el.room.textContent = store.room || wanted;
	el.meName.textContent = store.you.name;
	el.me.setAttribute('aria-label', words.t('composer.name', { name: store.you.name }));
	el.empty.hidden = store.last !== 0 || store.timeline.items.length > 0 || outbox.entries.length > 0;
	document.body.classList.toggle('away', !isLive());
}

// What happens.

function arrived(message, isNews) {
	const own = outbox.answered(message.id);
	const n = countShouts(message.text);
	// One's own presses were seen and heard when they were made; what was missed is only counted.
	if (!isNews || !n || own?.shouts || connection.state.phase !== 'live') return;
	const sender = message.from.id || message.from.name;
	stage.shout(sender, n);
	sound.ring(sender);
}

function refused({ code, id, retry_after_ms: retryAfter }) {
	if (outbox.refused(id, code, retryAfter) || code !== 'bad_name') return;
	browser.set('name', null);
	panel.refuseName();
}

function renamed(name) {
	store.you.name = name;
	connection.send({ type: 'name', name });
	show();
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
/** A tab out of sight may be ended without a word: what its successor needs is noted now. */
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
	const name = browser.get('name');
	if (name && name !== store.you.name) renamed(name);
	apply.theme(browser.get('theme'));
});

watchKeyboard(visualViewport);
words.translate(document);
for (const key of ['theme', 'enter', 'sound']) apply[key](browser.get(key));
connection.tryNow();
meetTwin();
