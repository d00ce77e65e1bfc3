// What was said here and has not come back yet. An entry keeps its id through retries, reconnects and reloads, and the room shows an id
// once. No DOM.

import { LIMITS } from './protocol.js';
import { shoutsPerText, WORD } from './text.js';
import { uuid } from './uuid.js';

const MOST = 200; // entries, beyond which texts are refused; presses never are
const ANSWER = 8_000; // ms unanswered that cast doubt on the line
const BUSY = 500; // the room's inbox is full: a moment
const AGAIN = new Set(['rate_limited', 'busy']); // errors that time cures

/**
 * send(frame) → whether the line took it; keep(entries) stores them; changed() follows every change; doubt(): no answer came. An entry
 * is {id, text, shouts, state, code, begun}: shouts > 0 marks presses, which later ones join until their text is made and goes out;
 * state is waiting, sent or failed (code says why); begun: it went out once and stays as it is.
 */
export function createOutbox({ send, keep = () => {}, changed = () => {}, doubt = () => {}, saved, clock }) {
	let entries = [];
	let limits = LIMITS;
	let isOpen = false;
	let pausedUntil = 0;
	let tokens = 0;
	let filledAt = 0;
	let pumpTimer = null;
	let answerTimer = null;

	for (const e of Array.isArray(saved) ? saved : []) {
		if (typeof e?.id !== 'string' || !(typeof e.text === 'string' || e.shouts > 0)) continue;
		entries.push({ ...e, state: e.state === 'failed' ? 'failed' : 'waiting' });
	}

	const find = (id) => (id ? entries.find((e) => e.id === id) : undefined);
	const push = (entry) => entries.push({ id: uuid(clock.now()), state: 'waiting', begun: false, ...entry });

	function store() {
		keep(entries);
		changed();
	}

	/** How many ms until the bucket holds a token. The server's is the same, so it is never overdrawn. */
	function wait() {
		const { messages_per_second: rate, burst } = limits;
		const now = clock.now();
		if (now < pausedUntil) return pausedUntil - now;
		if (!(rate > 0)) return 0;
		tokens = Math.min(burst, tokens + (Math.max(0, now - filledAt) * rate) / 1000);
		filledAt = Math.max(now, filledAt);
		return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / rate);
	}

	function pump() {
		clock.clearTimeout(pumpTimer);
		for (const e of entries) {
			if (!isOpen || e.state !== 'waiting') continue;
			const ms = wait();
			if (ms > 0) {
				pumpTimer = clock.setTimeout(pump, ms);
				break;
			}
			e.text ??= WORD.repeat(e.shouts);
			if (!send({ type: 'say', id: e.id, text: e.text })) break;
			Object.assign(e, { state: 'sent', begun: true, sentAt: clock.now() });
			tokens--;
		}
		watchAnswers();
		store();
	}

	function watchAnswers() {
		clock.clearTimeout(answerTimer);
		const oldest = isOpen && entries.find((e) => e.state === 'sent');
		if (!oldest) return;
		const left = oldest.sentAt + ANSWER - clock.now();
		answerTimer = clock.setTimeout(() => {
			oldest.sentAt = clock.now();
			watchAnswers();
			doubt();
		}, Math.max(0, left));
	}

	return {
		get entries() {
			return entries;
		},
		get waiting() {
			return entries.reduce((n, e) => n + (e.state === 'waiting' ? e.shouts || 1 : 0), 0);
		},
		get isPaused() {
			return clock.now() < pausedUntil;
		},
		/** Queues a text; '' when taken, else the code that says why not. */
		say(text) {
			if (entries.length >= MOST) return 'queue_full';
			push({ text, shouts: 0 });
			pump();
			return '';
		},
		/** Queues n presses, joined to those that have not gone out, as many as one text holds. */
		press(n) {
			const most = shoutsPerText(limits.text_bytes);
			const last = entries.at(-1);
			if (last?.shouts && !last.begun) {
				const joined = Math.min(n, Math.max(0, most - last.shouts));
				last.shouts += joined;
				n -= joined;
			}
			for (; n > 0; n -= most) push({ text: null, shouts: Math.min(n, most) });
			pump();
		},
		/** The line had its hello: everything unanswered goes out again, in order. */
		opened(newLimits) {
			limits = { ...limits, ...newLimits };
			isOpen = true;
			tokens = limits.burst;
			filledAt = clock.now();
			pausedUntil = 0;
			pump();
		},
		closed() {
			isOpen = false;
			for (const e of entries) if (e.state === 'sent') e.state = 'waiting';
			pump();
		},
		/** A message with this id came: that is the acknowledgement. Returns the entry, if it was one. */
		answered(id) {
			const entry = find(id);
			if (!entry) return undefined;
			entries = entries.filter((e) => e !== entry);
			watchAnswers();
			store();
			return entry;
		},
		/** The server refused an entry; true when it was one of ours. */
		refused(id, code, retryAfter) {
			const entry = find(id);
			if (!entry) return false;
			if (AGAIN.has(code)) {
				entry.state = 'waiting';
				tokens = 0;
				filledAt = pausedUntil = clock.now() + (retryAfter || BUSY);
			} else {
				Object.assign(entry, { state: 'failed', code });
			}
			pump();
			return true;
		},
		retry(id) {
			const entry = find(id);
			if (entry?.state !== 'failed') return;
			entry.state = 'waiting';
			pump();
		},
		drop(id) {
			entries = entries.filter((e) => e.id !== id);
			store();
		},
	};
}
