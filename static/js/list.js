// The log on the screen: a part of the timeline, called the window. It follows the newest item, or keeps the reader's place.

import { reconcile } from './dom.js';

const MOST_ROWS = 500;
const AT_REST = 200; // items shown while the newest are in view
const STEP = 150; // items the window moves by
const NEAR = 50; // px. The view counts as being at the bottom if it is this close
const AHEAD = 400; // px. The window moves on when the view is this close to its end
const SETTLED = 100; // ms to stay silent after a change. After this time a screen reader ignores what was added meanwhile
const MOST_PAGES = 5;
const SAME = 5 * 60_000; // ms. Within this time the next message of the same sender shows no name

const dayOf = (item) => item && new Date(item.at).toDateString();

const minuteOf = (item) => Math.floor((item.until ?? item.at) / 60_000);

/** A key made of the id and the name of an item's sender; undefined for shouts of several senders. */
function senderOf(item) {
	if (item?.kind === 'text') return `${item.from.id} ${item.from.name}`;
	if (item?.kind !== 'shouts' || item.tally.size > 1) return undefined;
	const [[id, { name }]] = item.tally;
	return `${id} ${name}`;
}

/** isCalm() tells whether arriving messages are news. onStick(stick) is called when the newest item comes into view or leaves it. */
export function createList({ el: { scroller, log, older, pill, panel }, store, words, rows, isCalm, onStick }) {
	const { timeline } = store;
	const nodes = new Map();
	let stick = true; // the newest item is in view and stays there
	let first = null; // the window's first item, while stick is false
	let leftAt = 0; // store.arrived when the reader left the bottom
	let reachesEnd = true; // the window held the newest item when it was last drawn
	let top = 0; // scrollTop at the last scroll event
	let voice = 0;
	let pages = 0; // pages that were requested because the view was not full
	let isPrinting = false; // while true, all items are shown

	const begin = () => Math.max(0, isPrinting ? 0 : stick ? timeline.items.length - AT_REST : timeline.items.indexOf(first));

	function toBottom() {
		scroller.scrollTop = scroller.scrollHeight;
		top = scroller.scrollTop;
	}

	/** The rows to show: the window's items, and the lines between them. */
	function visible() {
		const { items } = timeline;
		const from = begin();
		if (!stick && !isPrinting) first = items[from] ?? null;
		const shown = [];
		let i = from;
		for (; i < items.length && (stick || isPrinting || shown.length < MOST_ROWS - 3); i++) {
			const item = items[i];
			const before = items[i - 1];
			const lines = shown.length;
			if (dayOf(before) !== dayOf(item)) shown.push({ kind: 'day', key: `day${item.key}`, at: item.at });
			if (before && timeline.isUnread(item) && !timeline.isUnread(before)) shown.push({ kind: 'unread', key: 'unread' });
			const close = lines === shown.length && before && item.at - (before.until ?? before.at) < SAME;
			const sender = senderOf(item);
			// A name or a minute is not shown again in the next row.
			const same = close && sender !== undefined && sender === senderOf(before) ? 'same' : '';
			const like = same + (close && minuteOf(item) === minuteOf(before) ? ' timed' : '');
			shown.push({ kind: item.kind, key: item.key, version: item.version + like, item, like });
		}
		reachesEnd = i === items.length;
		return isPrinting ? shown : shown.slice(-MOST_ROWS);
	}

	/** The first row in view, which keeps its place. Separators do not count, because they come and go. */
	function anchor() {
		const edge = scroller.getBoundingClientRect().top;
		return [...log.children].find((row) => row.role !== 'separator' && row.getBoundingClientRect().bottom > edge);
	}

	/** Only news is read out. After history, missed messages or a rebuild, the log stays silent for a moment longer. */
	function speak(yes) {
		clearTimeout(voice);
		const set = (live) => log.setAttribute('aria-live', live);
		if (!yes) set('off');
		else if (log.getAttribute('aria-live') === 'off') voice = setTimeout(set, SETTLED, 'polite');
	}

	function sync() {
		speak(stick && isCalm() && !store.fetching);
		log.setAttribute('aria-busy', store.fetching);
		const place = stick ? undefined : anchor();
		const top = place?.getBoundingClientRect().top;
		reconcile(log, nodes, visible(), rows.make, rows.update);
		older.hidden = !store.more;
		if (stick) toBottom();
		else if (place?.isConnected) scroller.scrollTop += place.getBoundingClientRect().top - top;
		showPill();
		// Folded shouts may need so little space that the view is not full.
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
			// No page came, because the connection is down.
			if (stick || (timeline.items[0]?.first === oldest && store.more)) return;
		}
		move(-STEP);
		// Folded shouts may leave the view where it was, and then there is nothing to scroll.
		if (scroller.scrollTop < AHEAD && (begin() > 0 || store.more)) readOlder();
	}

	function scrolled() {
		const below = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
		// Only scrolling up leaves the newest item. A keyboard that opens, or a text field that grows, does not.
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
	const resized = () => stick && toBottom();
	if (window.ResizeObserver) {
		const watch = new ResizeObserver(resized);
		for (const box of [scroller, ...scroller.children]) watch.observe(box);
	} else for (const event of ['resize', 'input', 'click']) addEventListener(event, resized);
	let unfolded = [];
	for (const event of ['beforeprint', 'afterprint']) {
		addEventListener(event, () => {
			isPrinting = event === 'beforeprint';
			sync();
			for (const button of unfolded) button.click();
			unfolded = isPrinting ? [...log.querySelectorAll('[aria-expanded=false]')] : [];
			for (const button of unfolded) button.click();
		});
	}

	return {
		sync,
		toNewest,
		/** Makes all rows again after the language has changed. */
		rebuild() {
			speak(false);
			nodes.clear();
			log.replaceChildren();
			sync();
		},
	};
}
