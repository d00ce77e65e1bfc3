// The page's part of doyasa.v1: addresses, frames, and what the page does after each close code. Pure functions.

export const SUBPROTOCOL = 'doyasa.v1';

/** The server's defaults, used until its hello comes. */
export const LIMITS = { text_bytes: 4096, messages_per_second: 10, burst: 20 };

/** The room in a path (/r/NAME), or ''. A name that cannot be decoded is returned as it is, and the server refuses it. */
export function roomFromPath(path) {
	const name = /^\/r\/([^/]+)\/?$/.exec(path)?.[1] ?? '';
	try {
		return decodeURIComponent(name);
	} catch {
		return name;
	}
}

/** The address of the socket, without empty parameters. URLSearchParams accepts lone surrogates. */
export function socketURL(location, { room, name, session, epoch, after, history }) {
	const query = new URLSearchParams();
	const put = (key, value) => value !== undefined && value !== null && value !== '' && query.set(key, value);
	put('room', room);
	put('name', name);
	put('session', session);
	if (epoch) {
		put('epoch', epoch);
		put('after', after);
	}
	put('history', history);
	return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/websocket?${query}`;
}

/** The address of the page of history {after} or {before} a seq. */
export function historyURL(room, page) {
	return `/api/rooms/${encodeURIComponent(room)}/messages?${new URLSearchParams(page)}`;
}

/** A received frame as an object with a string type, or null if it is anything else. */
export function parseFrame(data) {
	try {
		const frame = JSON.parse(data);
		return typeof frame?.type === 'string' ? frame : null;
	} catch {
		return null;
	}
}

export const isSeq = (n) => Number.isSafeInteger(n) && n >= 0;

/** Whether an object is a message that can be shown. */
export const isMessage = (m) =>
	isSeq(m?.seq) && m.seq > 0 && Number.isFinite(m.at) && typeof m.text === 'string' && typeof m.from?.name === 'string';

/** The server answers a beat with a beat. */
export const BEAT = { type: 'beat' };

// The close codes of RFC 6455 section 7.4.1 for normal closure, protocol error, unsupported data, invalid payload, policy violation, and
// message too big. A new connection would be closed for the same reason.
const TERMINAL = [1000, 1002, 1003, 1007, 1008, 1009];

/** What to do after a close: refused (do not dial again), soon, or later. */
export function verdict(code, reason) {
	if (TERMINAL.includes(code)) return 'refused';
	return code === 1013 && reason !== 'overtaken' ? 'later' : 'soon';
}

const FIRST = 500;
const LONGEST = 30_000;
const FULL = 5_000; // ms. The shortest wait when the server is full

/** The wait before attempt number n (from 0), in milliseconds: full jitter, from 0.5 s doubling to 30 s. */
export function backoff(n, later, random = Math.random) {
	const wait = random() * Math.min(LONGEST, FIRST * 2 ** Math.min(n, 10));
	return Math.round(later ? FULL + wait : wait);
}
