// What is shown, in order: texts, folded shouts, holes and new beginnings, oldest first. Pure data, no DOM.
//
// Items: {key, kind, era, first, last, at, version}. kind is
//   text   one message: id, from, text
//   shouts consecutive shouts folded: total, tally (sender id → {name, count}, which adds up to the total), until
//   gap    messages first..last that did not come: state idle, loading or lost
//   era    the room's history began anew here
// key never changes; version grows with every change. seq orders items within an era; eras are in order.

import { countShouts, isShout } from './text.js';

const APART = 10 * 60_000; // shouts further apart, in ms, are not one run

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

export class Timeline {
	items = [];
	era = 0;
	/** {era, seq}: read up to here. A run of shouts does not fold across it, so that the unread line has a place. */
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

	/** The room began anew: numbers start over, and holes before this can never be filled. */
	begin() {
		for (const item of this.items) if (item.kind === 'gap') this.set(item, { state: 'lost' });
		this.era++;
		if (this.items.length) this.#insert(this.items.length, { kind: 'era', first: 0, last: 0, at: this.#now() });
	}

	set(item, fields) {
		Object.assign(item, fields);
		item.version++;
	}

	/** Puts messages into a gap in front of what is still missing; done: nothing is missing any more. */
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

	/** What is no message stands at the time of what is above it, and starts no day. */
	#now() {
		return this.items.at(-1)?.at ?? Date.now();
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
