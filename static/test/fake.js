// Time and sockets under the test's control.

/** A clock that stands still until advance(ms), which runs what falls due, in order. */
export class FakeClock {
	time = 1_000_000;
	#timers = new Map();
	#ids = 0;

	now = () => this.time;
	setTimeout = (action, ms) => {
		this.#timers.set(++this.#ids, { at: this.time + Math.max(0, ms), action });
		return this.#ids;
	};
	clearTimeout = (id) => this.#timers.delete(id);

	advance(ms) {
		const end = this.time + ms;
		for (;;) {
			const [id, next] = [...this.#timers].sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0] ?? [];
			if (!next || next.at > end) break;
			this.#timers.delete(id);
			this.time = next.at;
			next.action();
		}
		this.time = end;
	}

	get pending() {
		return this.#timers.size;
	}
}

/** What a browser's WebSocket shows to its user. */
export class FakeSocket {
	readyState = 0;
	protocol = '';
	sent = [];
	closedWith = null;

	accept(protocol = 'doyasa.v1') {
		this.readyState = 1;
		this.protocol = protocol;
		this.onopen?.();
	}
	send(data) {
		if (this.readyState !== 1) throw new Error('not open');
		this.sent.push(JSON.parse(data));
	}
	receive(frame) {
		this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
	}
	fail(code = 1006, reason = '') {
		this.readyState = 3;
		this.onclose?.({ code, reason });
	}
	close(code) {
		this.readyState = 3;
		this.closedWith = code;
	}
}

export const HELLO = {
	type: 'hello', room: 'doyasa', epoch: 'e1', seq: 0, you: { id: 'me', name: 'ゲスト1', session: 's1' }, resumed: false, reason: 'fresh',
	people: { count: 1, names: ['ゲスト1'] }, limits: { text_bytes: 4096, messages_per_second: 10, burst: 20 }, at: 1_000_000,
};

/** A message frame; prev defaults to the number before. */
export const message = (seq, text = `m${seq}`, more = {}) => ({
	type: 'message', seq, prev: seq - 1, id: `id${seq}`, from: { id: 'a', name: 'A' }, text, at: 1_764_000_000_000 + seq * 1000, ...more,
});
