// One lasting connection made of many sockets. What frames mean is the store's, but for the state of the line. No DOM: the socket, the
// clock and chance are handed in.

import { backoff, parseFrame, PROBE, SUBPROTOCOL, verdict } from './protocol.js';

const OPENING = 10_000; // ms from dialling to hello
const SILENCE = 55_000; // the server beats every 25 s: two missed
const PROBE_WAIT = 2_000; // for an answer to a probe
const STABLE = 10_000; // live this long, the next failure is the first again
const LONGEST_BYE = 600_000;
const OPEN = 1; // WebSocket.OPEN

/**
 * open() gives a new socket. onFrame(frame) sees every frame before onState(state) tells what it changed. state is {phase, reason,
 * retryAt}; phases: idle, connecting (dialled), catching (hello came), live, waiting (dials again at retryAt), refused (dials only
 * when asked). reason is the stable code behind the last close, or ''.
 */
export function createConnection({ open, onState, onFrame, clock, random = Math.random }) {
	let state = { phase: 'idle', reason: '', retryAt: 0 };
	let socket = null;
	let attempt = 0;
	let bye = null; // ms until the server wants us back
	let liveAt = 0;
	let heardAt = 0; // or dialled
	let timers = {};

	function enter(phase, reason = '', retryAt = 0) {
		state = { phase, reason, retryAt };
		onState(state);
	}

	function after(name, ms, action) {
		clock.clearTimeout(timers[name]);
		timers[name] = clock.setTimeout(action, ms);
	}

	function forget(name) {
		clock.clearTimeout(timers[name]);
		delete timers[name];
	}

	function hangUp() {
		for (const timer of Object.values(timers)) clock.clearTimeout(timer);
		timers = {};
		const old = socket;
		socket = null;
		if (!old) return;
		old.onopen = old.onmessage = old.onclose = null;
		old.close(1000);
	}

	function dial() {
		hangUp();
		bye = null;
		liveAt = 0;
		heardAt = clock.now();
		enter('connecting', state.reason);
		try {
			socket = open();
		} catch {
			return closed(1006, '');
		}
		socket.onopen = () => socket.protocol !== SUBPROTOCOL && refuse('bad_version');
		socket.onmessage = (event) => received(event.data);
		socket.onclose = (event) => closed(event.code, event.reason);
		after('opening', OPENING, drop);
	}

	function received(data) {
		heardAt = clock.now();
		const frame = parseFrame(data);
		if (!frame) return;
		if (timers.probe && frame.type === 'error') forget('probe');
		else if (timers.probe) after('probe', PROBE_WAIT, tryNow); // it may have lain here since the line was well
		if (state.phase === 'connecting') {
			if (frame.type !== 'hello') return refuse('bad_version');
			forget('opening');
			watch();
			onFrame(frame);
			return enter('catching');
		}
		onFrame(frame);
		if (frame.type === 'bye') bye = Math.min(Math.max(0, Number(frame.return_in_ms) || 0), LONGEST_BYE);
		if (frame.type !== 'live' || state.phase !== 'catching') return;
		liveAt = clock.now();
		enter('live');
	}

	function watch() {
		const left = heardAt + SILENCE - clock.now();
		if (left > 0) after('watch', left, watch);
		else drop();
	}

	/** The line is dead though nobody said so. */
	function drop() {
		hangUp();
		closed(1006, '');
	}

	function refuse(reason) {
		hangUp();
		enter('refused', reason);
	}

	function closed(code, reason) {
		socket = null;
		hangUp();
		const what = verdict(code, reason);
		if (what === 'refused') return enter('refused', reason || String(code));
		if (liveAt && clock.now() - liveAt >= STABLE) attempt = 0;
		const wait = bye ?? backoff(attempt, what === 'later', random);
		attempt++;
		enter('waiting', bye === null ? reason : 'restart', clock.now() + wait);
		after('retry', wait, dial);
	}

	/** Hands a frame to the socket; false when there is none that had its hello. */
	function send(frame) {
		if ((state.phase !== 'live' && state.phase !== 'catching') || socket.readyState !== OPEN) return false;
		socket.send(JSON.stringify(frame));
		return true;
	}

	/** Dials now, whatever was planned or refused. */
	function tryNow() {
		attempt = 0;
		dial();
	}

	/** The tab woke up, or the network changed: find out whether the line still stands. */
	function wake() {
		if (state.phase === 'waiting') return tryNow();
		if (state.phase === 'idle' || state.phase === 'refused' || timers.probe) return;
		const left = heardAt + PROBE_WAIT - clock.now();
		if (left > 0) after('wake', left, wake);
		else if (send(PROBE)) after('probe', PROBE_WAIT, tryNow);
		else tryNow();
	}

	return {
		get state() {
			return state;
		},
		send,
		tryNow,
		/** Leaves without coming back until tryNow(). */
		stop() {
			hangUp();
			enter('idle');
		},
		wake,
	};
}
