// Joins presses. The first press is sent at once, and the presses of the next 200 ms are sent together.

const WINDOW = 200;

export function createPresses(send, clock) {
	let held = 0;
	let timer = null;

	function flush() {
		clock.clearTimeout(timer);
		timer = null;
		const n = held;
		held = 0;
		if (n) send(n);
		return n;
	}

	function wait() {
		timer = clock.setTimeout(() => flush() && wait(), WINDOW);
	}

	return {
		press() {
			if (timer !== null) return void held++;
			send(1);
			wait();
		},
		/** Sends the held presses now, because the page may be about to end. */
		flush,
	};
}
