// Messages of this tab that have not come back from the server yet. An entry keeps its id through retries, reconnects and reloads, and the
// room shows each id only once. No DOM.

import { LIMITS } from './protocol.js';
import { shoutsPerText, WORD } from './text.js';
import { uuid } from './uuid.js';

const MOST = 200; // entries. When there are so many, texts are refused, but presses are not
const ANSWER = 8_000; // ms without an answer until the connection is checked
const BUSY = 500; // ms to wait when the room's inbox is full
const AGAIN = new Set(['rate_limited', 'busy']); // errors after which the same message is sent again

/**
 * send(frame) tells whether the frame was sent. keep(entries) stores the entries. changed() is called after every change, and doubt() when no
 * answer came.
 *
 * An entry is {id, text, shouts, state, code, begun}. shouts > 0: the entry stands for presses, and has no text until it is sent. begun: the
 * entry was sent once, so it does not change any more; before that, later presses are added to it. state is waiting, sent or failed; code
 * is the reason of a failure.
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
	const push = (entry) => entries.push({ id: uuid(), state: 'waiting', begun: false, ...entry });

	function store() {
		keep(entries);
		changed();
	}

	/** The ms until the token bucket holds a token. The server has the same bucket, so it does not refuse a message that waits for this time. */
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
		/** Queues a text. Returns '' or the code of an error. */
		say(text) {
			if (entries.length >= MOST) return 'queue_full';
			push({ text, shouts: 0 });
			pump();
			return '';
		},
		/** Queues n presses. They are added to the last entry if that has not been sent, up to what one text holds. */
		press(n) {
			const most = shoutsPerText(limits.text_bytes);
			const last = entries[entries.length - 1];
			if (last?.shouts && !last.begun) {
				const joined = Math.min(n, Math.max(0, most - last.shouts));
				last.shouts += joined;
				n -= joined;
			}
			for (; n > 0; n -= most) push({ text: null, shouts: Math.min(n, most) });
			pump();
		},
		/** Is called when the connection is live. Every entry without an answer is sent again, in order. */
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
		/** Is called when a message with this id came, which acknowledges the entry. Returns the entry, if there was one. */
		answered(id) {
			const entry = find(id);
			if (!entry) return undefined;
			entries = entries.filter((e) => e !== entry);
			watchAnswers();
			store();
			return entry;
		},
		/** Is called when the server refused an entry. Returns false if there is no such entry. */
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
