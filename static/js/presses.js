// Presses joined: the first goes out at once, those of the next 200 ms as one.

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
		/** Sends what is held now: the page is about to go. */
		flush,
	};
}
