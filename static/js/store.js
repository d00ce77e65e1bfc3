// The state of the room: position, people and messages. It turns frames into a timeline that has each message once and shows where messages
// are missing. It also fetches pages of history. No DOM, no socket.

import { isMessage, isSeq, LIMITS } from './protocol.js';
import { countShouts } from './text.js';
import { Timeline } from './timeline.js';

const PAGE = 200; // messages in a page. The server sends no more at once
const KEPT = 4000; // items that are kept in memory while the newest are shown

/**
 * fetchPage({after|before, limit}) promises a page of history. changed() is called after every change, onMessage(m, isNews) for every
 * message, received or fetched, and onHello() after a hello and before its messages. Other modules read the fields, and set pinned.
 */
export function createStore({ fetchPage, changed = () => {}, onMessage = () => {}, onHello = () => {} }) {
	let isNewcomer = true; // while true, messages before the first live are history and not news
	const timeline = new Timeline();
	const ids = new Set(); // ids of the last messages shown. After a crash of the server, the outbox may send one of them again
	const s = {
		timeline,
		room: '',
		epoch: '',
		session: '',
		you: { id: '', name: '' },
		/** The highest seq in this epoch that came or was announced as missing; null before the first live. */
		last: null,
		limits: LIMITS,
		people: { count: 0, names: [] },
		/** The number of どやさ since the page was opened. Those that were missed and fetched later are included. */
		shouts: 0,
		/** The number of messages of others since the page was opened. */
		arrived: 0,
		/** Whether the server may hold messages older than the first shown. */
		more: false,
		fetching: false, // a page of older messages is being fetched
		/** Whether the reader has scrolled up. While this is true, no item is dropped from memory. */
		pinned: false,
		frame,
		fill,
		older,
	};

	function frame(f) {
		if (f.type === 'hello') hello(f);
		else if (f.type === 'message') message(f);
		else if (f.type === 'live') live(f);
		else if (f.type === 'gap') gap(f);
		else if (f.type === 'people') people(f);
		else return;
		changed();
	}

	function hello(f) {
		const isAnew = s.epoch !== '' && (f.epoch !== s.epoch || f.reason === 'future');
		s.room = String(f.room ?? '');
		s.epoch = String(f.epoch ?? '');
		s.session = String(f.you?.session ?? '');
		s.you = { id: String(f.you?.id ?? ''), name: String(f.you?.name ?? '') };
		s.limits = { ...s.limits, ...f.limits };
		s.people = { count: Number(f.people?.count) || 0, names: (f.people?.names ?? []).map(String) };
		if (isAnew) {
			timeline.begin();
			s.last = 0; // the whole new history is news, and the part that the server does not send is a gap
		}
		onHello();
	}

	function message(f) {
		if (!isMessage(f)) return;
		if (s.last !== null && f.seq <= s.last) return onMessage(f, false); // the answer to a retry of a message that is shown already
		if (s.last === null) s.more = f.prev > 0;
		else if (f.prev > s.last) missing(s.last + 1, f.prev);
		s.last = f.seq;
		if (f.id && ids.has(f.id)) return onMessage(f, false);
		ids.add(f.id);
		if (ids.size > PAGE) ids.delete(ids.values().next().value);
		timeline.append(f);
		shown(f, !isNewcomer);
		if (s.pinned || timeline.items.length <= KEPT * 1.25) return;
		timeline.keep(KEPT);
		s.more = true;
	}

	function live(f) {
		if (isSeq(f.seq)) {
			if (s.last !== null && f.seq > s.last) missing(s.last + 1, f.seq);
			s.last = Math.max(s.last ?? 0, f.seq);
		}
		isNewcomer = false;
	}

	function gap(f) {
		if (!isSeq(f.from) || !isSeq(f.to) || f.to <= (s.last ?? -1)) return;
		missing((s.last ?? f.from - 1) + 1, f.to);
		s.last = f.to;
	}

	function people(f) {
		const names = [...s.people.names];
		for (const name of f.left ?? []) {
			const at = names.indexOf(name);
			if (at >= 0) names.splice(at, 1);
		}
		const count = Number(f.count) || 0;
		for (const name of (f.joined ?? []).map(String)) {
			// Everybody gets the same frame. So it may have people that hello has listed already, such as the reader.
			if (names.length < Math.min(count, 20) || !names.includes(name)) names.push(name);
		}
		s.people = { count, names: names.slice(-count || names.length) };
	}

	function shown(m, isNews) {
		if (isNews) s.shouts += countShouts(m.text);
		if (isNews && m.from.id !== s.you.id) s.arrived++;
		onMessage(m, isNews);
	}

	const missing = (first, last) => fill(timeline.gap(first, last));

	/** Fetches one page of a gap's messages, twice if the first attempt fails. Messages that the server no longer has are marked as lost. */
	async function fill(hole, tries = 2) {
		if (hole.state !== 'idle') return;
		timeline.set(hole, { state: 'loading' });
		const { first, last, era } = hole;
		const { epoch } = s;
		try {
			const page = await fetchPage({ after: first - 1, limit: PAGE });
			if (timeline.era !== era) return;
			const messages = page.epoch === epoch ? page.messages.filter(isMessage) : [];
			const found = messages.filter((m) => m.seq >= first && m.seq <= last);
			const isAll = !messages.length || messages[messages.length - 1].seq >= Math.min(last, page.last);
			timeline.set(hole, { state: found.length || !isAll ? 'idle' : 'lost' });
			if (found.length) {
				// The server may not know the prev of its oldest message. page.first tells which messages are lost.
				if (page.first > first) found[0] = { ...found[0], prev: Math.max(found[0].prev, page.first - 1) };
				timeline.fill(hole, found, isAll);
				for (const m of found) shown(m, true);
			}
		} catch {
			if (timeline.era !== era) return;
			timeline.set(hole, { state: 'idle' });
			if (tries > 1) return fill(hole, tries - 1);
		}
		changed();
	}

	/** Fetches a page of messages older than the first item. Resolves when they are in the timeline. */
	async function older() {
		const top = timeline.items[0];
		if (!s.more || s.fetching) return;
		if (!top || top.era !== timeline.era) {
			s.more = false;
			return;
		}
		s.fetching = true;
		changed();
		try {
			const page = await fetchPage({ before: top.first, limit: PAGE });
			const isSame = page.epoch === s.epoch && timeline.items[0] === top;
			const messages = isSame ? page.messages.filter((m) => isMessage(m) && m.seq < top.first) : [];
			timeline.prepend(messages);
			s.more = messages.length > 0 && messages[0].seq > page.first;
			for (const m of messages) onMessage(m, false);
		} catch {
			// The connection is down. more stays true, so the page asks again when the reader scrolls up.
		}
		s.fetching = false;
		changed();
	}

	return s;
}
