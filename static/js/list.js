// The log on the screen: a window over the timeline that sticks to the newest or keeps the reader's place.

import { reconcile } from './dom.js';

const MOST_ROWS = 500;
const AT_REST = 200; // items shown while the newest are in view
const STEP = 150; // items the window moves by
const NEAR = 50; // px from the bottom that still count as being there
const AHEAD = 400; // px before an end of the window at which it moves on
const SETTLED = 100; // ms after which what was added without a word is not read out any more
const MOST_PAGES = 5;
const SAME = 5 * 60_000; // ms within which a sender's next words need no name

const dayOf = (item) => item && new Date(item.at).toDateString();

const minuteOf = (item) => Math.floor((item.until ?? item.at) / 60_000);

/** Who said an item, and under which name; undefined for the shouts of several. */
function senderOf(item) {
	if (item?.kind === 'text') return `${item.from.id} ${item.from.name}`;
	if (item?.kind !== 'shouts' || item.tally.size > 1) return undefined;
	const [[id, { name }]] = item.tally;
	return `${id} ${name}`;
}

/** isCalm(): what arrives is news; onStick(stick): the newest came into view, or left it. */
export function createList({ el: { scroller, log, older, pill, panel }, store, words, rows, isCalm, onStick }) {
	const { timeline } = store;
	const nodes = new Map();
	let stick = true; // the newest is in view and stays there
	let first = null; // the item the window begins with, while not sticking
	let leftAt = 0; // store.arrived when the reader left the bottom
	let reachesEnd = true; // the window held the newest item when it was last drawn
	let top = 0; // scrollTop when it was last seen
	let voice = 0;
	let pages = 0; // asked for because the view was not full

	const begin = () => Math.max(0, stick ? timeline.items.length - AT_REST : timeline.items.indexOf(first));

	function toBottom() {
		scroller.scrollTop = scroller.scrollHeight;
		top = scroller.scrollTop;
	}

	/** The rows to show: the window's items, and the lines between them. */
	function visible() {
		const { items } = timeline;
		const from = begin();
		if (!stick) first = items[from] ?? null;
		const shown = [];
		let i = from;
		for (; i < items.length && (stick || shown.length < MOST_ROWS - 3); i++) {
			const item = items[i];
			const before = items[i - 1];
			const lines = shown.length;
			if (dayOf(before) !== dayOf(item)) shown.push({ kind: 'day', key: `day${item.key}`, at: item.at });
			if (before && timeline.isUnread(item) && !timeline.isUnread(before)) shown.push({ kind: 'unread', key: 'unread' });
			const close = lines === shown.length && before && item.at - (before.until ?? before.at) < SAME;
			const sender = senderOf(item);
			// Not told twice: who, and at which minute.
			const same = close && sender !== undefined && sender === senderOf(before) ? 'same' : '';
			const like = same + (close && minuteOf(item) === minuteOf(before) ? ' timed' : '');
			shown.push({ kind: item.kind, key: item.key, version: item.version + like, item, like });
		}
		reachesEnd = i === items.length;
		return shown.slice(-MOST_ROWS);
	}

	/** The first row in view: the place to keep. Lines between rows come and go. */
	function anchor() {
		const edge = scroller.getBoundingClientRect().top;
		return [...log.children].find((row) => row.role !== 'separator' && row.getBoundingClientRect().bottom > edge);
	}

	/** News is read out; history, and what is caught up with or built anew, is not: the log speaks again once that settled. */
	function speak(yes) {
		clearTimeout(voice);
		if (!yes) log.ariaLive = 'off';
		else if (log.ariaLive === 'off') voice = setTimeout(() => (log.ariaLive = 'polite'), SETTLED);
	}

	function sync() {
		speak(stick && isCalm() && !store.fetching);
		log.ariaBusy = store.fetching;
		const place = stick ? undefined : anchor();
		const top = place?.getBoundingClientRect().top;
		reconcile(log, nodes, visible(), rows.make, rows.update);
		older.hidden = !store.more;
		if (stick) toBottom();
		else if (place?.isConnected) scroller.scrollTop += place.getBoundingClientRect().top - top;
		showPill();
		// Folded shouts may take little room.
		if (!stick || !isCalm() || !store.more || scroller.scrollHeight > scroller.clientHeight || pages === MOST_PAGES) return;
		pages++;
		store.older();
	}

	function showPill() {
		const n = store.arrived - leftAt;
		pill.hidden = stick;
		pill.textContent = n > 0 ? words.count('log.new', n) : words.t('log.newest');
	}

	function setStick(yes) {
		if (yes === stick) return;
		if (!yes) {
			first = timeline.items[begin()] ?? null;
			leftAt = store.arrived;
			speak(false);
		}
		stick = yes;
		store.pinned = !yes;
		onStick(yes);
	}

	function toNewest() {
		setStick(true);
		sync();
	}

	function move(by) {
		const { items } = timeline;
		first = items[Math.min(Math.max(0, begin() + by), Math.max(0, items.length - 1))] ?? null;
		sync();
	}

	async function readOlder() {
		setStick(false);
		const oldest = timeline.items[0]?.first;
		if (begin() === 0) {
			if (!store.more || store.fetching) return;
			await store.older();
			// Nothing came: the line is down.
			if (stick || (timeline.items[0]?.first === oldest && store.more)) return;
		}
		move(-STEP);
		// Folded shouts may leave the view where it was, with nothing to scroll.
		if (scroller.scrollTop < AHEAD && (begin() > 0 || store.more)) readOlder();
	}

	function scrolled() {
		const below = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
		// Only a reader who goes up leaves the newest: a keyboard that opens, or a line more below, is no reason.
		const leaves = scroller.scrollTop < top;
		top = scroller.scrollTop;
		setStick((below <= NEAR || (stick && !leaves)) && reachesEnd);
		if (!stick && scroller.scrollTop < AHEAD) readOlder();
		else if (below < AHEAD && !reachesEnd) move(STEP);
		showPill();
	}

	scroller.addEventListener('scroll', scrolled, { passive: true });
	addEventListener('keydown', ({ key, isComposing, target }) => {
		if (stick || isComposing || panel.open) return;
		if (key === 'Escape' || (key === 'End' && !('selectionStart' in target))) toNewest();
	});
	pill.addEventListener('click', toNewest);
	older.addEventListener('click', readOlder);
	const watch = new ResizeObserver(() => stick && toBottom());
	for (const box of [scroller, ...scroller.children]) watch.observe(box);

	return {
		sync,
		toNewest,
		/** Builds every row anew: the language changed. */
		rebuild() {
			speak(false);
			nodes.clear();
			log.replaceChildren();
			sync();
		},
	};
}
