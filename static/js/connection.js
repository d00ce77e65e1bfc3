// One lasting connection that uses one socket after another. It reads only the frames that change the state of the connection; the store
// reads the others. No DOM: the socket, the clock and the random numbers are parameters.

import { backoff, BEAT, parseFrame, SUBPROTOCOL, verdict } from './protocol.js';

const OPENING = 10_000; // ms from dialling to hello
const SILENCE = 55_000; // ms. The server sends a beat every 25 s, so at least two beats are missing
const BACKLOG = 500; // ms after waking. Frames that come in this time were received during sleep
const PROBE_WAIT = 2_000; // ms to wait for the answer to a beat
const STABLE = 10_000; // ms. If a connection was live for this long, its failure counts as the first one, and the backoff starts over
const LONGEST_BYE = 600_000;
const OPEN = 1; // WebSocket.OPEN

/**
 * open() returns a new socket. onFrame(frame) gets every frame, before onState(state) reports the change that it caused. state is {phase,
 * reason, retryAt}. Phases: idle; connecting (the socket is open or opening); catching (hello came); live; waiting (dials again at
 * retryAt); refused (dials only when the reader asks). reason is the stable code of the last close, or ''.
 */
export function createConnection({ open, onState, onFrame, clock, random = Math.random }) {
	let state = { phase: 'idle', reason: '', retryAt: 0 };
	let socket = null;
	let attempt = 0;
	let bye = null; // ms after which the server asked the page to return
	let liveAt = 0;
	let heardAt = 0; // when the last frame came or the socket was opened
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
		if (timers.probe && frame.type === BEAT.type) forget('probe');
		else if (timers.probe) after('probe', PROBE_WAIT, tryNow); // another frame proves nothing: it may be old
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

	/** Handles a connection that is dead although no close event came. */
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

	/** Sends a frame. Returns false when there is no socket, or its hello has not come. */
	function send(frame) {
		if ((state.phase !== 'live' && state.phase !== 'catching') || socket.readyState !== OPEN) return false;
		socket.send(JSON.stringify(frame));
		return true;
	}

	/** Dials now, in any phase. */
	function tryNow() {
		attempt = 0;
		dial();
	}

	/**
	 * The tab woke up, or the network changed: finds out whether the server still answers. clock may have stood still during sleep, so no frame
	 * that came before is a sign of life. The page sends a beat after the backlog is read. Otherwise a beat from the backlog would count as the
	 * answer.
	 */
	function wake() {
		if (state.phase === 'waiting') return tryNow();
		if (state.phase === 'idle' || state.phase === 'refused' || timers.wake || timers.probe) return;
		after('wake', BACKLOG, ask);
	}

	function ask() {
		const left = heardAt + PROBE_WAIT - clock.now();
		if (left > 0) return after('wake', left, ask);
		forget('wake');
		if (send(BEAT)) after('probe', PROBE_WAIT, tryNow);
		else tryNow();
	}

	return {
		get state() {
			return state;
		},
		send,
		tryNow,
		/** Closes the connection until tryNow(). */
		stop() {
			hangUp();
			enter('idle');
		},
		wake,
	};
}
