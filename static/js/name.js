// The reader's name. It is chosen in one tab and used by all tabs. If the server refuses it, the choice is undone. No DOM.

import { cleanName } from './text.js';

/** memory keeps the chosen name for all tabs. send(frame) tells whether it was sent. changed() follows each change of store.you.name. */
export function createName({ memory, store, send, changed, clock }) {
	let given = ''; // the name in the server's last hello. The server gave it, so it will not refuse it

	/** The chosen name, or '' for a guest. It may have been stored by an earlier version of the page, with other rules. */
	const chosen = () => cleanName(String(memory.get('name') ?? ''));

	function show(name) {
		store.you.name = name;
		send({ type: 'name', name });
		changed();
	}

	/** Uses the chosen name from now on, if it is another one. */
	function use() {
		const name = chosen();
		if (name && name !== store.you.name) show(name);
	}

	return {
		chosen,
		use,
		choose(name) {
			memory.set('name', name);
			use();
		},
		/** Handles the name in the server's hello. */
		hello() {
			given = store.you.name;
		},
		/** Handles an error that does not belong to a message. Returns true if the server refused the name. */
		refused(code, retryAfter) {
			if (code === 'rate_limited') clock.setTimeout(() => show(store.you.name), retryAfter);
			if (code !== 'bad_name') return false;
			memory.set('name', null);
			if (store.you.name !== given) show(given);
			return true;
		},
	};
}
