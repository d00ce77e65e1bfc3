// The items that are shown, oldest first: texts, folded shouts, gaps, and starts of a new history. Pure data, no DOM.
//
// Items: {key, kind, era, first, last, at, version}. kind is
//   text   one message: id, from, text
//   shouts consecutive shouts folded: total, tally (sender id → {name, count}, which adds up to the total), until
//   gap    messages first..last are missing: state idle, loading or lost
//   era    the server's history started again here, with new numbers
// key never changes; version grows with every change. Items are ordered by era, and by seq within an era.

import { countShouts, isShout } from './text.js';

const APART = 10 * 60_000; // ms. Shouts that are further apart are not folded together

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

export class Timeline {
	items = [];
	era = 0;
	/** {era, seq} of the last message that was read. Shouts before and after it are not folded together, because the unread line goes between. */
	mark = null;
	#keys = 0;

	append(message) {
		this.#place(this.items.length, message);
	}

	prepend(messages) {
		for (let i = messages.length - 1; i >= 0; i--) this.#place(0, messages[i]);
	}

	gap(first, last) {
		return this.#insert(this.items.length, { kind: 'gap', first, last, at: this.#now(), state: 'idle' });
	}

	/** Is called when the server's history started again. Its numbers start over, and earlier gaps can never be filled. */
	begin() {
		for (const item of this.items) if (item.kind === 'gap') this.set(item, { state: 'lost' });
		this.era++;
		if (this.items.length) this.#insert(this.items.length, { kind: 'era', first: 0, last: 0, at: this.#now() });
	}

	set(item, fields) {
		Object.assign(item, fields);
		item.version++;
	}

	/** Puts messages into the beginning of a gap. done tells that no message is missing any more. */
	fill(gap, messages, done) {
		for (const m of messages) {
			if (m.seq < gap.first || m.seq > gap.last) continue;
			if (m.prev >= gap.first) {
				const gone = { kind: 'gap', first: gap.first, last: m.prev, at: gap.at, state: 'lost' };
				this.#insert(this.items.indexOf(gap), gone);
			}
			this.#place(this.items.indexOf(gap), m);
			this.set(gap, { first: m.seq + 1 });
		}
		if (!done && gap.first <= gap.last) return;
		this.items.splice(this.items.indexOf(gap), 1);
	}

	keep(n) {
		this.items.splice(0, Math.max(0, this.items.length - n));
	}

	isUnread(item) {
		const { mark } = this;
		return mark !== null && (item.era > mark.era || (item.era === mark.era && item.first > mark.seq));
	}

	/** The time of the item above. An item that is not a message has no time of its own, so it uses this time and does not start a new day. */
	#now() {
		return this.items[this.items.length - 1]?.at ?? Date.now();
	}

	#insert(at, item) {
		const whole = { key: ++this.#keys, era: this.era, version: 0, ...item };
		this.items.splice(at, 0, whole);
		return whole;
	}

	#place(at, m) {
		if (!isShout(m.text)) {
			this.#insert(at, { kind: 'text', first: m.seq, last: m.seq, at: m.at, id: m.id, from: m.from, text: m.text });
			return;
		}
		const before = this.items[at - 1];
		const after = this.items[at];
		if (this.#joins(before, m)) this.#fold(before, m);
		else if (this.#joins(after, m)) this.#fold(after, m);
		else {
			const run = { kind: 'shouts', first: m.seq, last: m.seq, at: m.at, until: m.at, total: 0, tally: new Map() };
			this.#fold(this.#insert(at, run), m);
		}
	}

	#joins(run, m) {
		if (run?.kind !== 'shouts' || run.era !== this.era || !sameDay(run.at, m.at)) return false;
		if (m.at - run.until > APART || run.at - m.at > APART) return false;
		return this.isUnread(run) === this.isUnread({ era: this.era, first: m.seq });
	}

	#fold(run, m) {
		const n = countShouts(m.text);
		const sender = m.from.id || m.from.name;
		const entry = run.tally.get(sender) ?? { name: m.from.name, count: 0 };
		if (m.seq >= run.last) entry.name = m.from.name;
		entry.count += n;
		run.tally.set(sender, entry);
		this.set(run, {
			first: Math.min(run.first, m.seq),
			last: Math.max(run.last, m.seq),
			at: Math.min(run.at, m.at),
			until: Math.max(run.until, m.at),
			total: run.total + n,
		});
	}
}
