// One row of the log: a text, folded shouts, a gap, the start of a new history, a day, or the unread line.

import { h, linked, put } from './dom.js';
import { beginning, hueOf, languageOf, WORD } from './text.js';

const LINES = 12; // lines. A text with more is folded
const LETTERS = 1200; // letters. A text with more is folded
const TALLIED = 40; // senders that an opened fold lists

export const cry = () => h('span', { class: 'cry', translate: 'no' }, h('span', { lang: 'ja', text: WORD }), h('b'));

/** Makes and updates the elements of rows {kind, key, version, item, like, at}; see list.js and timeline.js. */
export function createRows({ words, store }) {
	const who = (name) => h('bdi', { class: 'who', dir: 'auto', translate: 'no', text: name || words.t('log.unnamed'), title: name });
	const times = (n) => `×${words.number(n)}`;

	/** Shows the time, and for own messages (seq > 0) that they were delivered. */
	function putTime(time, at, seq) {
		put(time, words.time(at)).dateTime = new Date(at).toISOString();
		time.title = words.full(at) + (seq ? ` #${seq}` : '');
		if (seq && !time.querySelector('.sent')) time.append(h('span', { class: 'sent', role: 'img', 'aria-label': words.t('log.sent') }));
		return time;
	}

	/** A text as it was written, isolated from its neighbours, and folded when it is high or long. */
	function body(text) {
		const p = h('p', { class: 'words', dir: 'auto', lang: languageOf(text) });
		const el = h('div', { class: 'body' }, p);
		if (text.length <= LETTERS && text.split('\n', LINES + 1).length <= LINES) {
			p.append(linked(text));
			return el;
		}
		let open = true;
		const more = h('button', { type: 'button', class: 'quiet' });
		const toggle = () => {
			open = !open;
			p.replaceChildren(open ? linked(text) : beginning(text, LETTERS));
			p.className = `words ${open ? 'opened' : 'folded'}`;
			more.setAttribute('aria-expanded', open);
			more.textContent = words.t(open ? 'log.less' : 'log.more');
		};
		more.addEventListener('click', toggle);
		toggle();
		el.append(more);
		return el;
	}

	function fillShouts(el, { item, like }) {
		const [summary, name, count, time, names] = ['summary', '.who', '.cry b', 'time', '.tally'].map((part) => el.querySelector(part));
		const [[id, first]] = item.tally;
		const solo = item.tally.size === 1;
		el.className = `row shouts ${solo ? `solo h${hueOf(id)}` : ''} ${like}`;
		summary.tabIndex = solo ? -1 : 0;
		put(name, solo ? first.name || words.t('log.unnamed') : words.count('people', item.tally.size));
		put(count, item.total > 1 ? times(item.total) : '');
		putTime(time, item.until, item.tally.has(store.you.id) ? item.last : 0);
		fillTally(names, item, el.open);
	}

	function fillTally(list, item, open) {
		const senders = open ? [...item.tally].sort((a, b) => b[1].count - a[1].count) : [];
		const rest = senders.slice(TALLIED);
		const row = (hue, label, n) => h('li', { class: hue }, label, h('b', { text: times(n) }));
		list.replaceChildren(...senders.slice(0, TALLIED).map(([id, s]) => row(`h${hueOf(id)}`, who(s.name), s.count)));
		if (!rest.length) return;
		const others = h('span', { text: words.count('log.others', rest.length) });
		list.append(row('', others, rest.reduce((n, [, s]) => n + s.count, 0)));
	}

	function fillGap(el, { item }) {
		const key = { idle: 'log.gap', loading: 'log.loading', lost: 'log.gap.lost' }[item.state];
		el.replaceChildren(h('span', { text: words.t(key) }));
		if (item.state !== 'idle') return;
		const load = () => store.fill(item);
		el.append(h('button', { type: 'button', class: 'quiet', text: words.t('log.gap.load'), click: load }));
	}

	const line = (kind, text) => h('div', { class: `rule ${kind}`, role: 'separator' }, h('span', { text }));
	const makers = {
		day: ({ at }) => line('day', words.day(at)),
		unread: () => line('unread', words.t('log.unread')),
		era: () => h('div', { class: 'note' }, h('span', { text: words.t('log.era') })),
		gap: () => h('div', { class: 'note' }),
		text({ item: { from, text, at, first } }) {
			const el = h('div', {}, who(from.name), body(text), putTime(h('time'), at, from.id === store.you.id ? first : 0));
			el.dataset.hue = `h${hueOf(from.id || from.name)}`;
			return el;
		},
		shouts({ item }) {
			const names = h('ul', { class: 'tally' });
			const el = h('details', {}, h('summary', {}, who(''), cry(), h('time')), names);
			el.addEventListener('toggle', () => fillTally(names, item, el.open));
			return el;
		},
	};
	const fillers = {
		text: (el, { like }) => (el.className = `row text ${el.dataset.hue} ${like}`),
		shouts: fillShouts,
		gap: fillGap,
	};

	function update(el, row) {
		if (el.dataset.version === String(row.version)) return;
		el.dataset.version = row.version;
		fillers[row.kind]?.(el, row);
	}

	function make(row) {
		const el = makers[row.kind](row);
		update(el, row);
		return el;
	}

	return { make, update, body };
}
